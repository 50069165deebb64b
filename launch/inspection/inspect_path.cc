#include "launch/inspection/inspect_path.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/file_system.h"
#include "common/money/money.h"
#include "common/status_macros.h"
#include "policy/formats/gguf.h"
#include "policy/formats/gguf_policy.h"
#include "policy/formats/gguf_types.h"
#include "policy/formats/policy_folder.h"
#include "policy/formats/safetensors.h"
#include "trainer/checkpoint/checkpoint_manifest.h"
#include "trainer/checkpoint/checkpoint_reader.h"
#include "trainer/checkpoint/checkpoint_store.h"

namespace routewright {
namespace {

using Json = nlohmann::ordered_json;

Json Start(const char* kind, const std::string& path) {
  Json report;
  report["kind"] = kind;
  report["path"] = path;
  return report;
}

Json TensorRow(const std::string& name, const std::string& dtype, const std::vector<int64_t>& shape,
               size_t bytes) {
  return {{"name", name},
          {"dtype", dtype},
          {"shape", absl::StrCat("[", absl::StrJoin(shape, ", "), "]")},
          {"bytes", bytes}};
}

void AddShape(const ModelConfig& config, Json* report) {
  (*report)["architecture"] = ArchitectureName(config.architecture);
  (*report)["parameters"] = ParameterLayout(config, HeadKind::kLanguageModel).num_parameters();
  (*report)["vocabulary_tokens"] = config.vocabulary_size;
  (*report)["layers"] = config.num_layers;
  (*report)["width"] = config.width;
  (*report)["intermediate_width"] = config.intermediate_width;
  (*report)["heads"] = config.num_heads;
  (*report)["kv_heads"] = config.num_kv_heads;
  (*report)["head_width"] = config.head_width;
  (*report)["max_positions_tokens"] = config.max_positions;
  (*report)["is_tied"] = config.is_tied;
}

// Element types of a list of tensor rows, as "BF16" or "F32 (61), Q4_1 (210)"; and their bytes.
void AddTotals(const Json& tensors, Json* report) {
  std::map<std::string, int> counts;
  uint64_t bytes = 0;
  for (const Json& tensor : tensors) {
    ++counts[tensor["dtype"].get<std::string>()];
    bytes += tensor["bytes"].get<uint64_t>();
  }
  std::vector<std::string> parts;
  for (const auto& [dtype, count] : counts)
    parts.push_back(counts.size() == 1 ? dtype : absl::StrCat(dtype, " (", count, ")"));
  (*report)["dtype"] = absl::StrJoin(parts, ", ");
  (*report)["weight_bytes"] = bytes;
  (*report)["num_tensors"] = tensors.size();
}

absl::StatusOr<Json> SafetensorsRows(const std::string& path) {
  RW_ASSIGN_OR_RETURN(const auto file, SafetensorsFile::Open(path));
  Json rows = Json::array();
  for (const SafetensorsTensor& tensor : file->tensors()) {
    rows.push_back(TensorRow(tensor.name, tensor.dtype, tensor.shape, tensor.bytes.size()));
  }
  return rows;
}

absl::StatusOr<Json> InspectSafetensors(const std::string& path) {
  Json report = Start("safetensors", path);
  RW_ASSIGN_OR_RETURN(Json rows, SafetensorsRows(path));
  AddTotals(rows, &report);
  report["tensors"] = std::move(rows);
  return report;
}

absl::StatusOr<Json> InspectGguf(const std::string& path) {
  RW_ASSIGN_OR_RETURN(const auto file, GgufFile::Open(path));
  Json report = Start("gguf", path);
  if (const std::string* name = file->Get<std::string>("general.name")) report["name"] = *name;
  const auto config = ModelConfigFromGguf(*file);
  if (config.ok())
    AddShape(*config, &report);
  else
    report["not_convertible"] = std::string(config.status().message());
  Json rows = Json::array();
  for (const GgufTensor& tensor : file->tensors()) {
    rows.push_back(
        TensorRow(tensor.name, GgufTypeName(tensor.type), tensor.shape, tensor.bytes.size()));
  }
  AddTotals(rows, &report);
  report["tensors"] = std::move(rows);
  return report;
}

absl::StatusOr<Json> InspectPolicyFolder(const std::string& folder) {
  Json report = Start("policy", folder);
  RW_ASSIGN_OR_RETURN(const ModelConfig config, LoadModelConfig(folder));
  AddShape(config, &report);
  report["end_token_ids"] = absl::StrJoin(config.end_token_ids, ", ");
  // Whatever is listed below also loads.
  RW_RETURN_IF_ERROR(OpenPolicyTensors(folder, config).status());
  RW_ASSIGN_OR_RETURN(const std::vector<std::string> names, FileSystem::Posix().List(folder));
  Json rows = Json::array();
  for (const std::string& name : names) {
    if (!name.ends_with(".safetensors")) continue;
    RW_ASSIGN_OR_RETURN(const Json more, SafetensorsRows(absl::StrCat(folder, "/", name)));
    rows.insert(rows.end(), more.begin(), more.end());
  }
  AddTotals(rows, &report);
  report["tensors"] = std::move(rows);
  return report;
}

}  // namespace

absl::StatusOr<Json> InspectCheckpoint(const std::string& folder) {
  const std::string manifest_path = folder + "/manifest.json";
  RW_ASSIGN_OR_RETURN(const std::string text, FileSystem::Posix().Read(manifest_path));
  RW_ASSIGN_OR_RETURN(const CheckpointManifest manifest, ParseManifest(text, manifest_path));
  Json report = Start("checkpoint", folder);
  report["step"] = manifest.step();
  report["policy_version"] = manifest.policy_version();
  report["code_version"] = manifest.code_version();
  report["ranks"] = manifest.num_ranks();
  report["questions_drawn"] = manifest.learner().question_cursor();
  report["episodes_committed"] = manifest.learner().episodes_committed();
  report["ledger_total_usd"] = PicousdToUsd(manifest.learner().ledger_total_picousd());
  report["state"] = "ok";
  Json rows = Json::array();
  uint64_t bytes = 0;
  for (const CheckpointFile& file : manifest.files()) {
    const absl::Status status = CheckpointReader::VerifyFile(folder, file);
    rows.push_back({{"name", file.name()},
                    {"bytes", file.num_bytes()},
                    {"tensors", file.tensors_size()},
                    {"state", status.ok() ? "ok" : std::string(status.message())}});
    if (!status.ok()) report["state"] = "damaged";
    bytes += file.num_bytes();
  }
  report["bytes"] = bytes;
  report["files"] = std::move(rows);
  return report;
}

// The run's checkpoints, with what their weights reached on the held-out questions. Their files are
// not read: inspect one of them for that.
absl::StatusOr<Json> InspectRun(const std::string& folder) {
  Json report = Start("run", folder);
  const CheckpointStore store(FileSystem::Posix(), folder + "/checkpoints", {});
  RW_ASSIGN_OR_RETURN(const std::vector<int64_t> steps, store.Steps());
  std::map<int64_t, EvaluationResult> evaluations;
  std::vector<std::unique_ptr<CheckpointReader>> checkpoints;
  for (int64_t step : steps) {
    RW_ASSIGN_OR_RETURN(auto checkpoint,
                        CheckpointReader::Open(FileSystem::Posix(), store.FolderOf(step)));
    for (const EvaluationResult& result : checkpoint->manifest().learner().evaluations()) {
      evaluations[result.step()] = result;
    }
    checkpoints.push_back(std::move(checkpoint));
  }
  Json rows = Json::array();
  for (const auto& checkpoint : checkpoints) {
    const CheckpointManifest& manifest = checkpoint->manifest();
    const auto metric = [&](const char* name) -> Json {
      const auto& metrics = evaluations[manifest.step()].metrics();
      const auto found = metrics.find(name);
      return found == metrics.end() ? Json("-") : Json(found->second);
    };
    rows.push_back({{"step", manifest.step()},
                    {"held_out_em", metric("em")},
                    {"held_out_f1", metric("f1")},
                    {"held_out_reward", metric("reward_mean")},
                    {"held_out_usd_per_1k", metric("cost_usd_per_1k")},
                    {"run_usd", PicousdToUsd(manifest.learner().ledger_total_picousd())},
                    {"folder", checkpoint->folder()}});
  }
  report["num_checkpoints"] = rows.size();
  report["checkpoints"] = std::move(rows);
  return report;
}

absl::StatusOr<Json> InspectPath(const std::string& path) {
  std::error_code error;
  const auto exists = [&](const char* name) {
    return std::filesystem::exists(path + "/" + name, error);
  };
  if (!std::filesystem::exists(path, error))
    return absl::NotFoundError(absl::StrCat(path, ": there is no such file or folder"));
  if (std::filesystem::is_directory(path, error)) {
    if (exists("manifest.json")) return InspectCheckpoint(path);
    if (exists("config.json")) return InspectPolicyFolder(path);
    if (exists("checkpoints")) return InspectRun(path);
    return absl::InvalidArgumentError(absl::StrCat(
        path,
        ": neither a run that has saved (checkpoints/), a checkpoint (manifest.json) nor a "
        "policy folder (config.json)"));
  }
  if (path.ends_with(".safetensors")) return InspectSafetensors(path);
  if (path.ends_with(".gguf")) return InspectGguf(path);
  if (path.ends_with(".jsonl")) return InspectTrajectories(path);
  return absl::InvalidArgumentError(absl::StrCat(
      path,
      ": not a *.safetensors, *.gguf or *.jsonl (trajectories) file, checkpoint or policy folder"));
}

}  // namespace routewright
