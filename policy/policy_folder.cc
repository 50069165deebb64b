#include "policy/policy_folder.h"

#include <unistd.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/file_system.h"
#include "common/status_macros.h"
#include "policy/mapped_file.h"

namespace switchyard {
namespace {

constexpr const char* kWeightsFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";
constexpr size_t kMaxJsonBytes = size_t{16} << 20;

bool Exists(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

absl::StatusOr<std::string> ReadJsonFile(const std::string& folder, const char* name) {
  const std::string path = absl::StrCat(folder, "/", name);
  if (!Exists(path)) {
    return absl::NotFoundError(absl::StrCat(
        Exists(folder) ? path : folder, " is missing; a policy folder holds config.json, ",
        "tokenizer.json and model.safetensors (or shards with ", kIndexFile, ")"));
  }
  SY_ASSIGN_OR_RETURN(const auto file, MappedFile::Open(path));
  if (file->bytes().size() > kMaxJsonBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": larger than ", kMaxJsonBytes, " bytes"));
  }
  return std::string(file->bytes());
}

// Tensor name → file name, from the index of a sharded folder.
absl::StatusOr<std::map<std::string, std::string>> ReadIndex(const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/", kIndexFile);
  SY_ASSIGN_OR_RETURN(const std::string text, ReadJsonFile(folder, kIndexFile));
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("weight_map") || !json["weight_map"].is_object() ||
      json["weight_map"].empty()) {
    return absl::DataLossError(absl::StrCat(path, ": needs a 'weight_map' of tensors and files"));
  }
  std::map<std::string, std::string> shard_of;
  for (const auto& [tensor, shard] : json["weight_map"].items()) {
    const std::string name = shard.is_string() ? shard.get<std::string>() : "";
    if (!absl::EndsWith(name, ".safetensors") || absl::StrContains(name, "/")) {
      return absl::DataLossError(absl::StrCat(path, ": tensor ", tensor,
                                              ": its file must be a *.safetensors of this folder"));
    }
    shard_of[tensor] = name;
  }
  return shard_of;
}

// The weight files of a folder: one, or shards opened through the index.
class WeightFiles {
 public:
  static absl::StatusOr<WeightFiles> Open(const std::string& folder) {
    WeightFiles result;
    std::vector<std::string> names = {kWeightsFile};
    if (!Exists(absl::StrCat(folder, "/", kWeightsFile)) &&
        Exists(absl::StrCat(folder, "/", kIndexFile))) {
      SY_ASSIGN_OR_RETURN(result.shard_of_, ReadIndex(folder));
      names.clear();
      for (const auto& [tensor, shard] : result.shard_of_) names.push_back(shard);
    }
    for (const std::string& name : names) {
      std::unique_ptr<SafetensorsFile>& file = result.files_[name];
      if (file != nullptr) continue;
      const std::string path = absl::StrCat(folder, "/", name);
      if (!Exists(path)) {
        return absl::NotFoundError(
            absl::StrCat(path, " is missing; the policy's weights are read from ", kWeightsFile,
                         ", or from shards that ", kIndexFile, " names"));
      }
      SY_ASSIGN_OR_RETURN(file, SafetensorsFile::Open(path));
    }
    return result;
  }

  // Every tensor of the layout is there in its shape, and nothing that the model would ignore.
  absl::Status CheckAgainst(const ParameterLayout& layout, bool is_tied) const {
    for (const BlockLayout& block : layout.blocks()) {
      for (const TensorSlot& slot : block.tensors) {
        const SafetensorsFile& file = FileOf(slot);
        const SafetensorsTensor* tensor = file.Find(slot.name);
        if (tensor == nullptr) {
          return absl::DataLossError(
              absl::StrCat(file.path(), ": tensor ", slot.name, " is missing"));
        }
        if (tensor->shape != slot.shape) {
          return absl::DataLossError(
              absl::StrCat(file.path(), ": tensor ", slot.name, " has the shape [",
                           absl::StrJoin(tensor->shape, ", "), "], config.json asks for [",
                           absl::StrJoin(slot.shape, ", "), "]"));
        }
      }
    }
    return CheckNoneUnknown(layout, is_tied);
  }

  // After CheckAgainst the slot's layout.
  absl::StatusOr<HostTensor> Read(const TensorSlot& slot) const {
    const SafetensorsFile& file = FileOf(slot);
    return file.Read(*file.Find(slot.name));
  }

 private:
  const SafetensorsFile& FileOf(const TensorSlot& slot) const {
    const auto shard = shard_of_.find(slot.name);
    return shard != shard_of_.end() ? *files_.at(shard->second) : *files_.begin()->second;
  }

  // A tensor that the model would ignore means that config.json does not describe these weights.
  absl::Status CheckNoneUnknown(const ParameterLayout& known, bool is_tied) const {
    for (const auto& [name, file] : files_) {
      for (const SafetensorsTensor& tensor : file->tensors()) {
        const bool is_harmless = absl::EndsWith(tensor.name, "rotary_emb.inv_freq") ||
                                 (is_tied && tensor.name == "lm_head.weight");
        int block = 0;
        if (is_harmless || known.Find(tensor.name, &block) != nullptr) continue;
        return absl::DataLossError(
            absl::StrCat(file->path(), ": tensor ", tensor.name,
                         " is not part of the model that config.json describes"));
      }
    }
    return absl::OkStatus();
  }

  std::map<std::string, std::string> shard_of_;  // empty: one file
  std::map<std::string, std::unique_ptr<SafetensorsFile>> files_;
};

absl::Status WriteFile(FileSystem& files, const std::string& path, std::string_view content) {
  SY_ASSIGN_OR_RETURN(const auto file, files.OpenForWrite(path));
  SY_RETURN_IF_ERROR(file->Append(content));
  SY_RETURN_IF_ERROR(file->Sync());
  return file->Close();
}

absl::Status WriteWeights(FileSystem& files, const std::string& path, const TensorSource& tensors,
                          const ModelConfig& config, WeightFormat format) {
  const ParameterLayout layout(config, HeadKind::kLanguageModel);
  std::vector<const TensorSlot*> slots;
  std::vector<SafetensorsShape> shapes;
  for (const BlockLayout& block : layout.blocks()) {
    for (const TensorSlot& slot : block.tensors) {
      slots.push_back(&slot);
      shapes.push_back({slot.name, slot.shape});
    }
  }
  HostTensor current;
  const auto values_of = [&](size_t i) -> absl::StatusOr<std::span<const float>> {
    current = {};  // before the next one is made
    SY_ASSIGN_OR_RETURN(current, tensors(*slots[i]));
    return current.values;
  };
  SY_ASSIGN_OR_RETURN(const auto file, files.OpenForWrite(path));
  SY_RETURN_IF_ERROR(WriteSafetensors(*file, shapes, format, values_of));
  SY_RETURN_IF_ERROR(file->Sync());
  return file->Close();
}

absl::Status CopyTokenizerFiles(FileSystem& files, const std::string& from, const std::string& to) {
  for (const std::string& name : CompanionFiles()) {
    const std::string source = absl::StrCat(from, "/", name);
    if (!files.Exists(source)) continue;
    SY_ASSIGN_OR_RETURN(const std::string content, files.Read(source));
    SY_RETURN_IF_ERROR(WriteFile(files, absl::StrCat(to, "/", name), content));
  }
  return absl::OkStatus();
}

absl::Status FillFolder(FileSystem& files, const std::string& folder, const ModelConfig& config,
                        const TensorSource& tensors, WeightFormat format,
                        const std::string& tokenizer_folder,
                        const std::map<std::string, std::string>& texts) {
  SY_RETURN_IF_ERROR(files.CreateFolders(folder));
  if (!tokenizer_folder.empty()) {
    SY_RETURN_IF_ERROR(CopyTokenizerFiles(files, tokenizer_folder, folder));
  }
  for (const auto& [name, text] : texts) {
    SY_RETURN_IF_ERROR(WriteFile(files, absl::StrCat(folder, "/", name), text));
  }
  SY_RETURN_IF_ERROR(
      WriteWeights(files, absl::StrCat(folder, "/", kWeightsFile), tensors, config, format));
  const char* dtype = format == WeightFormat::kF32 ? "float32" : "bfloat16";
  SY_RETURN_IF_ERROR(
      WriteFile(files, absl::StrCat(folder, "/config.json"), ModelConfigToJson(config, dtype)));
  return files.SyncFolder(folder);
}

}  // namespace

std::vector<std::string> CompanionFiles() {
  return {"tokenizer.json",
          "tokenizer_config.json",
          "special_tokens_map.json",
          "added_tokens.json",
          "vocab.json",
          "merges.txt",
          "chat_template.jinja",
          "generation_config.json"};
}

absl::StatusOr<ModelConfig> LoadModelConfig(const std::string& folder) {
  SY_ASSIGN_OR_RETURN(const std::string text, ReadJsonFile(folder, "config.json"));
  SY_ASSIGN_OR_RETURN(ModelConfig config,
                      ParseModelConfig(text, absl::StrCat(folder, "/config.json")));
  constexpr const char* kGenerationConfig = "generation_config.json";
  const std::string path = absl::StrCat(folder, "/", kGenerationConfig);
  if (Exists(path)) {
    SY_ASSIGN_OR_RETURN(const std::string generation, ReadJsonFile(folder, kGenerationConfig));
    SY_RETURN_IF_ERROR(AddEndTokens(generation, path, &config));
  }
  return config;
}

absl::StatusOr<TensorSource> OpenPolicyTensors(const std::string& folder,
                                               const ModelConfig& config) {
  SY_ASSIGN_OR_RETURN(WeightFiles opened, WeightFiles::Open(folder));
  const ParameterLayout layout(config, HeadKind::kLanguageModel);
  SY_RETURN_IF_ERROR(opened.CheckAgainst(layout, config.is_tied));
  const auto files = std::make_shared<const WeightFiles>(std::move(opened));
  return [files](const TensorSlot& slot) { return files->Read(slot); };
}

absl::StatusOr<std::shared_ptr<const PolicyWeights>> LoadPolicyWeights(const std::string& folder,
                                                                       const ModelConfig& config) {
  SY_ASSIGN_OR_RETURN(const TensorSource source, OpenPolicyTensors(folder, config));
  return ReadAllTensors(source, ParameterLayout(config, HeadKind::kLanguageModel));
}

absl::Status SavePolicyFolder(const std::string& folder, const ModelConfig& config,
                              const TensorSource& tensors, WeightFormat format,
                              const std::string& tokenizer_folder,
                              const std::map<std::string, std::string>& texts) {
  FileSystem& files = FileSystem::Posix();
  std::filesystem::path path = std::filesystem::path(folder).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();  // "out/"
  if (files.Exists(path)) {
    return absl::AlreadyExistsError(
        absl::StrCat(folder, " is there already; name a folder that is not, or remove it"));
  }
  const std::string aside = absl::StrCat(path.string(), ".partial-", getpid());
  const std::string parent = path.has_parent_path() ? path.parent_path().string() : ".";
  SY_RETURN_IF_ERROR(files.CreateFolders(parent));
  absl::Status status = FillFolder(files, aside, config, tensors, format, tokenizer_folder, texts);
  if (status.ok()) status = files.Rename(aside, path);
  if (!status.ok()) {
    files.RemoveAll(aside).IgnoreError();  // the first failure is the one to report
    return status;
  }
  return files.SyncFolder(parent);
}

}  // namespace switchyard
