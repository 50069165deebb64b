#include "trainer/checkpoint.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "common/crc32c.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "policy/mapped_file.h"
#include "policy/policy_folder.h"
#include "policy/safetensors.h"
#include "trainer/checkpoint_manifest.h"
#include "trainer/checkpoint_writer.h"

namespace switchyard {
namespace {

constexpr char kStepPrefix[] = "step-";

// Which tensor of a file whose bytes are wrong; the whole file if that cannot be told.
absl::Status NameDamage(const std::string& path, const CheckpointFile& expected) {
  const auto file = SafetensorsFile::Open(path);
  for (int i = 0; file.ok() && i < expected.tensors_size(); ++i) {
    const SafetensorsTensor* tensor = (*file)->Find(expected.tensors(i).name());
    if (tensor == nullptr || Crc32c(tensor->bytes) != expected.tensors(i).crc32c()) {
      return absl::DataLossError(absl::StrCat(path, " is damaged: the checksum of tensor ",
                                              expected.tensors(i).name(), " does not match"));
    }
  }
  return absl::DataLossError(absl::StrCat(path, " is damaged: its checksum does not match"));
}

// The tensors of a layout, whose names in the file start with `prefix`.
absl::StatusOr<std::shared_ptr<const PolicyWeights>> ReadTensors(const SafetensorsFile& file,
                                                                 const ParameterLayout& layout,
                                                                 const std::string& prefix) {
  std::map<std::string, HostTensor> tensors;
  for (const BlockLayout& block : layout.blocks()) {
    for (const TensorSlot& slot : block.tensors) {
      const SafetensorsTensor* tensor = file.Find(prefix + slot.name);
      if (tensor == nullptr || tensor->shape != slot.shape) {
        return absl::DataLossError(absl::StrCat(file.path(), ": tensor ", prefix, slot.name,
                                                " is missing or has another shape"));
      }
      SY_ASSIGN_OR_RETURN(tensors[slot.name], file.Read(*tensor));
    }
  }
  return std::make_shared<const PolicyWeights>(std::move(tensors));
}

absl::StatusOr<ModelState> ReadModel(const std::string& folder, const std::string& name,
                                     const ParameterLayout& layout, int64_t optimizer_steps) {
  SY_ASSIGN_OR_RETURN(const auto weights,
                      SafetensorsFile::Open(absl::StrCat(folder, "/", name, "/model.safetensors")));
  SY_ASSIGN_OR_RETURN(const auto moments, SafetensorsFile::Open(absl::StrCat(
                                              folder, "/optimizer/", name, ".safetensors")));
  ModelState state;
  SY_ASSIGN_OR_RETURN(state.weights, ReadTensors(*weights, layout, ""));
  SY_ASSIGN_OR_RETURN(state.first_moments, ReadTensors(*moments, layout, "first_moment."));
  SY_ASSIGN_OR_RETURN(state.second_moments, ReadTensors(*moments, layout, "second_moment."));
  state.optimizer_steps = optimizer_steps;
  return state;
}

}  // namespace

CheckpointStore::CheckpointStore(FileSystem& files, std::string folder, int keep_last)
    : files_(files), folder_(std::move(folder)), keep_last_(keep_last) {}

std::string CheckpointStore::FolderOf(int64_t step) const {
  return absl::StrFormat("%s/%s%06d", folder_, kStepPrefix, step);
}

absl::Status CheckpointStore::Save(const CheckpointContents& contents) {
  const std::string target = FolderOf(contents.step);
  const std::string aside =
      absl::StrFormat("%s/.%s%06d.partial", folder_, kStepPrefix, contents.step);
  SY_RETURN_IF_ERROR(files_.CreateFolders(folder_));
  SY_RETURN_IF_ERROR(files_.RemoveAll(aside));
  absl::Status status = WriteCheckpointFolder(files_, aside, contents);
  // A checkpoint of the same step can only be one that was not resumed from.
  if (status.ok() && files_.Exists(target)) status = files_.RemoveAll(target);
  if (status.ok()) status = files_.Rename(aside, target);
  if (!status.ok()) {
    files_.RemoveAll(aside).IgnoreError();  // the first failure is the one to report
    return absl::Status(status.code(),
                        absl::StrCat("the checkpoint of step ", contents.step,
                                     " was not saved: ", std::string(status.message())));
  }
  SY_RETURN_IF_ERROR(files_.SyncFolder(folder_));
  return Prune();
}

absl::Status CheckpointStore::CheckFile(const std::string& folder, const CheckpointFile& expected) {
  const std::string path = absl::StrCat(folder, "/", expected.name());
  const auto file = MappedFile::Open(path);
  if (!file.ok()) {
    return absl::DataLossError(
        absl::StrCat("the checkpoint lacks a file: ", std::string(file.status().message())));
  }
  const std::string_view bytes = (*file)->bytes();
  if (bytes.size() != expected.num_bytes()) {
    return absl::DataLossError(absl::StrCat(path, " is damaged: it has ", bytes.size(),
                                            " bytes instead of ", expected.num_bytes()));
  }
  return Crc32c(bytes) == expected.crc32c() ? absl::OkStatus() : NameDamage(path, expected);
}

absl::StatusOr<std::vector<int64_t>> CheckpointStore::Steps() const {
  std::vector<int64_t> steps;
  if (!files_.Exists(folder_)) return steps;
  SY_ASSIGN_OR_RETURN(const std::vector<std::string> names, files_.List(folder_));
  for (const std::string& name : names) {
    absl::string_view number = name;
    int64_t step = 0;
    if (absl::ConsumePrefix(&number, kStepPrefix) && absl::SimpleAtoi(number, &step)) {
      steps.push_back(step);
    }
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

absl::Status CheckpointStore::Prune() {
  SY_ASSIGN_OR_RETURN(std::vector<int64_t> steps, Steps());
  for (; steps.size() > static_cast<size_t>(keep_last_); steps.erase(steps.begin())) {
    SY_RETURN_IF_ERROR(files_.RemoveAll(FolderOf(steps.front())));
  }
  return absl::OkStatus();
}

absl::Status CheckpointStore::PutAside(int64_t step, const char* why) {
  const std::string aside = absl::StrFormat("%s/%s-%s%06d", folder_, why, kStepPrefix, step);
  SY_RETURN_IF_ERROR(files_.RemoveAll(aside));
  return files_.Rename(FolderOf(step), aside);
}

absl::Status CheckpointStore::PutAsideLaterThan(int64_t step) {
  SY_ASSIGN_OR_RETURN(const std::vector<int64_t> steps, Steps());
  for (int64_t later : steps) {
    if (later > step) SY_RETURN_IF_ERROR(PutAside(later, "abandoned"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<LoadedCheckpoint>> CheckpointStore::LoadNewest() {
  SY_ASSIGN_OR_RETURN(std::vector<int64_t> steps, Steps());
  if (steps.empty()) return std::nullopt;
  for (; !steps.empty(); steps.pop_back()) {
    const std::string folder = FolderOf(steps.back());
    auto loaded = Load(files_, folder);
    if (loaded.ok()) return std::optional<LoadedCheckpoint>(*std::move(loaded));
    if (!absl::IsDataLoss(loaded.status())) return loaded.status();
    LogError("checkpoint=", folder,
             " | DAMAGED, not used: ", std::string(loaded.status().message()),
             "; trying the one before it");
    SY_RETURN_IF_ERROR(PutAside(steps.back(), "damaged"));
  }
  return absl::DataLossError(absl::StrCat(
      "every checkpoint in ", folder_,
      " is damaged (they are now named damaged-step-…); start anew with --resume none, or name "
      "another checkpoint with --resume DIR"));
}

absl::StatusOr<LoadedCheckpoint> CheckpointStore::Load(FileSystem& files,
                                                       const std::string& folder) {
  const std::string manifest_path = folder + "/manifest.json";
  if (!files.Exists(folder)) {
    return absl::NotFoundError(absl::StrCat(
        "there is no checkpoint ", folder,
        ": name a folder such as runs/demo/checkpoints/step-000100 (or --resume auto, or none)"));
  }
  if (!files.Exists(manifest_path)) {
    return absl::DataLossError(absl::StrCat(manifest_path, " is missing: not a whole checkpoint"));
  }
  SY_ASSIGN_OR_RETURN(const std::string text, files.Read(manifest_path));
  LoadedCheckpoint loaded;
  loaded.folder = folder;
  SY_ASSIGN_OR_RETURN(loaded.manifest, ParseManifest(text, manifest_path));
  for (const CheckpointFile& file : loaded.manifest.files()) {
    SY_RETURN_IF_ERROR(CheckFile(folder, file));
  }
  SY_ASSIGN_OR_RETURN(loaded.config, LoadModelConfig(folder + "/policy"));
  for (const auto& [name, optimizer_steps] : loaded.manifest.learner().optimizer_steps()) {
    const ParameterLayout layout = LayoutOfModel(name, loaded.config);
    SY_ASSIGN_OR_RETURN(loaded.models[name], ReadModel(folder, name, layout, optimizer_steps));
  }
  return loaded;
}

}  // namespace switchyard
