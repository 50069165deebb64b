#include "trainer/checkpoint_writer.h"

#include <span>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/crc32c.h"
#include "common/status_macros.h"
#include "policy/parameter_layout.h"
#include "policy/policy_folder.h"
#include "policy/safetensors.h"
#include "trainer/checkpoint_manifest.h"
#include "trainer/checksummed_file.h"

namespace switchyard {
namespace {

class FolderWriter {
 public:
  FolderWriter(FileSystem& files, const std::string& folder, CheckpointManifest& manifest)
      : files_(files), folder_(folder), manifest_(manifest) {}

  absl::Status WriteText(const std::string& name, std::string_view text) {
    return Write(name, [&](WritableFile& file, CheckpointFile&) { return file.Append(text); });
  }

  absl::Status WriteTensors(const std::string& name, std::span<const SafetensorsEntry> tensors) {
    return Write(name, [&](WritableFile& file, CheckpointFile& entry) {
      for (const SafetensorsEntry& tensor : tensors) {
        CheckpointTensor* line = entry.add_tensors();
        line->set_name(tensor.name);
        line->set_crc32c(Crc32c(
            {reinterpret_cast<const char*>(tensor.values.data()), tensor.values.size_bytes()}));
      }
      return WriteSafetensors(file, tensors, WeightFormat::kF32);
    });
  }

 private:
  template <typename Fill>
  absl::Status Write(const std::string& name, const Fill& fill) {
    SY_ASSIGN_OR_RETURN(auto target, files_.OpenForWrite(absl::StrCat(folder_, "/", name)));
    ChecksummedFile file(std::move(target));
    CheckpointFile entry;
    SY_RETURN_IF_ERROR(fill(file, entry));
    SY_RETURN_IF_ERROR(file.Sync());
    SY_RETURN_IF_ERROR(file.Close());
    entry.set_name(name);
    entry.set_num_bytes(file.num_bytes());
    entry.set_crc32c(file.crc32c());
    *manifest_.add_files() = std::move(entry);
    return absl::OkStatus();
  }

  FileSystem& files_;
  const std::string& folder_;
  CheckpointManifest& manifest_;
};

// One entry per tensor of the layout, in its order; names get `prefix`.
std::vector<SafetensorsEntry> Entries(const ParameterLayout& layout, const PolicyWeights& weights,
                                      const std::string& prefix) {
  std::vector<SafetensorsEntry> entries;
  for (const BlockLayout& block : layout.blocks()) {
    for (const TensorSlot& slot : block.tensors) {
      entries.push_back({prefix + slot.name, slot.shape, weights.Find(slot.name)->values});
    }
  }
  return entries;
}

absl::Status WriteModel(FolderWriter& writer, const std::string& name, const ModelState& state,
                        const ParameterLayout& layout) {
  for (const auto& weights : {state.weights, state.first_moments, state.second_moments}) {
    SY_RETURN_IF_ERROR(weights->CheckAgainst(layout));
  }
  SY_RETURN_IF_ERROR(writer.WriteTensors(absl::StrCat(name, "/model.safetensors"),
                                         Entries(layout, *state.weights, "")));
  std::vector<SafetensorsEntry> moments = Entries(layout, *state.first_moments, "first_moment.");
  for (SafetensorsEntry& entry : Entries(layout, *state.second_moments, "second_moment.")) {
    moments.push_back(std::move(entry));
  }
  return writer.WriteTensors(absl::StrCat("optimizer/", name, ".safetensors"), moments);
}

absl::Status WritePolicyCompanions(FileSystem& files, FolderWriter& writer,
                                   const CheckpointContents& contents) {
  SY_RETURN_IF_ERROR(
      writer.WriteText("policy/config.json", ModelConfigToJson(contents.config, "float32")));
  for (const std::string& name : CompanionFiles()) {
    const std::string source = absl::StrCat(contents.policy_folder, "/", name);
    if (!files.Exists(source)) continue;
    SY_ASSIGN_OR_RETURN(const std::string text, files.Read(source));
    SY_RETURN_IF_ERROR(writer.WriteText(absl::StrCat("policy/", name), text));
  }
  return absl::OkStatus();
}

absl::Status WriteManifest(FileSystem& files, const std::string& folder,
                           const CheckpointManifest& manifest) {
  SY_ASSIGN_OR_RETURN(const std::string text, SerializeManifest(manifest));
  SY_ASSIGN_OR_RETURN(const auto file, files.OpenForWrite(folder + "/manifest.json"));
  SY_RETURN_IF_ERROR(file->Append(text));
  SY_RETURN_IF_ERROR(file->Sync());
  return file->Close();
}

}  // namespace

ParameterLayout LayoutOfModel(const std::string& name, const ModelConfig& config) {
  if (name == "value_head") return ParameterLayout::OfValueHead(config);
  return ParameterLayout(config, name == "critic" ? HeadKind::kValue : HeadKind::kLanguageModel);
}

absl::Status WriteCheckpointFolder(FileSystem& files, const std::string& folder,
                                   const CheckpointContents& contents) {
  CheckpointManifest manifest;
  manifest.set_format_version(kCheckpointFormatVersion);
  manifest.set_step(contents.step);
  manifest.set_policy_version(contents.policy_version);
  manifest.set_num_ranks(contents.num_ranks);
  manifest.set_code_version(contents.code_version);
  *manifest.mutable_learner() = contents.learner;

  std::vector<std::string> folders = {folder + "/optimizer"};
  for (const auto& [name, state] : contents.models) {
    folders.push_back(absl::StrCat(folder, "/", name));
    (*manifest.mutable_learner()->mutable_optimizer_steps())[name] = state.optimizer_steps;
  }
  for (const std::string& path : folders) SY_RETURN_IF_ERROR(files.CreateFolders(path));

  FolderWriter writer(files, folder, manifest);
  SY_RETURN_IF_ERROR(writer.WriteText("config.resolved.yaml", contents.config_yaml));
  SY_RETURN_IF_ERROR(WritePolicyCompanions(files, writer, contents));
  for (const auto& [name, state] : contents.models) {
    SY_RETURN_IF_ERROR(WriteModel(writer, name, state, LayoutOfModel(name, contents.config)));
  }
  for (const std::string& path : folders) SY_RETURN_IF_ERROR(files.SyncFolder(path));
  SY_RETURN_IF_ERROR(WriteManifest(files, folder, manifest));
  return files.SyncFolder(folder);
}

}  // namespace switchyard
