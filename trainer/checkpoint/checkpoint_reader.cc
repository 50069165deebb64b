#include "trainer/checkpoint/checkpoint_reader.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/absl_view.h"
#include "common/crc32c.h"
#include "common/status_macros.h"
#include "policy/mapped_file.h"
#include "policy/policy_folder.h"
#include "policy/safetensors.h"
#include "trainer/checkpoint/checkpoint_files.h"
#include "trainer/checkpoint/checkpoint_manifest.h"

namespace switchyard {
namespace {

absl::Status Damaged(const std::string& path, const std::string& what) {
  return absl::DataLossError(absl::StrCat(path, " is damaged: ", what));
}

absl::Status VerifyTensors(const std::string& path, const CheckpointFile& expected) {
  const auto file = SafetensorsFile::Open(path);
  if (!file.ok()) return Damaged(path, std::string(file.status().message()));
  if (Crc32c((*file)->header()) != expected.crc32c()) {
    return Damaged(path, "the checksum of its header does not match");
  }
  const std::vector<SafetensorsTensor>& tensors = (*file)->tensors();
  if (static_cast<int>(tensors.size()) != expected.tensors_size()) {
    return Damaged(path, absl::StrCat("it has ", tensors.size(), " tensors instead of ",
                                      expected.tensors_size()));
  }
  for (int i = 0; i < expected.tensors_size(); ++i) {
    if (tensors[i].name != expected.tensors(i).name() ||
        Crc32c(tensors[i].bytes) != expected.tensors(i).crc32c()) {
      return Damaged(path, absl::StrCat("the checksum of tensor ", expected.tensors(i).name(),
                                        " does not match"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<CheckpointReader>> CheckpointReader::Open(
    FileSystem& files, const std::string& folder) {
  if (!files.Exists(folder)) {
    return absl::NotFoundError(absl::StrCat(
        "there is no checkpoint ", folder,
        ": name a folder such as runs/demo/checkpoints/step-000100 (or --resume auto, or none)"));
  }
  const std::string path = absl::StrCat(folder, "/", kManifestName);
  if (!files.Exists(path)) {
    return absl::DataLossError(absl::StrCat(path, " is missing: not a whole checkpoint"));
  }
  SY_ASSIGN_OR_RETURN(const std::string text, files.Read(path));
  SY_ASSIGN_OR_RETURN(CheckpointManifest manifest, ParseManifest(text, path));
  return std::unique_ptr<CheckpointReader>(new CheckpointReader(folder, std::move(manifest)));
}

absl::StatusOr<std::unique_ptr<CheckpointReader>> CheckpointReader::OpenWhole(
    FileSystem& files, const std::string& folder) {
  SY_ASSIGN_OR_RETURN(auto reader, Open(files, folder));
  SY_RETURN_IF_ERROR(reader->Verify(/*reader=*/0, /*num_readers=*/1));
  SY_RETURN_IF_ERROR(reader->OpenTensors());
  return reader;
}

absl::Status CheckpointReader::VerifyFile(const std::string& folder,
                                          const CheckpointFile& expected) {
  const std::string path = absl::StrCat(folder, "/", expected.name());
  const auto file = MappedFile::Open(path);
  if (!file.ok()) {
    return absl::DataLossError(
        absl::StrCat("the checkpoint lacks a file: ", std::string(file.status().message())));
  }
  const std::string_view bytes = (*file)->bytes();
  if (bytes.size() != expected.num_bytes()) {
    return Damaged(
        path, absl::StrCat("it has ", bytes.size(), " bytes instead of ", expected.num_bytes()));
  }
  if (absl::EndsWith(path, ".safetensors")) return VerifyTensors(path, expected);
  return Crc32c(bytes) == expected.crc32c() ? absl::OkStatus()
                                            : Damaged(path, "its checksum does not match");
}

absl::Status CheckpointReader::Verify(int reader, int num_readers) const {
  for (const CheckpointFile& file : manifest_.files()) {
    if (file.rank() % num_readers != reader) continue;
    SY_RETURN_IF_ERROR(VerifyFile(folder_, file));
  }
  return absl::OkStatus();
}

absl::Status CheckpointReader::OpenTensors() {
  SY_ASSIGN_OR_RETURN(config_, LoadModelConfig(folder_ + "/policy"));
  for (const auto& [name, optimizer_steps] : manifest_.learner().optimizer_steps()) {
    const auto paths = [&](StateKind kind) {
      std::vector<std::string> result;
      for (int rank = 0; rank < manifest_.num_ranks(); ++rank) {
        result.push_back(
            absl::StrCat(folder_, "/", TensorFileName(name, kind, rank, manifest_.num_ranks())));
      }
      return result;
    };
    ParameterLayout layout = LayoutOfModel(name, config_);
    SY_ASSIGN_OR_RETURN(TensorPieces weights, TensorPieces::Open(paths(StateKind::kWeights)));
    SY_ASSIGN_OR_RETURN(TensorPieces moments, TensorPieces::Open(paths(StateKind::kFirstMoments)));
    SY_RETURN_IF_ERROR(weights.Check(layout, TensorPrefix(StateKind::kWeights)));
    for (const StateKind kind : {StateKind::kFirstMoments, StateKind::kSecondMoments}) {
      SY_RETURN_IF_ERROR(moments.Check(layout, TensorPrefix(kind)));
    }
    models_.emplace(name, Model{std::move(layout), std::move(weights), std::move(moments)});
  }
  return absl::OkStatus();
}

int64_t CheckpointReader::OptimizerSteps(const std::string& model) const {
  return manifest_.learner().optimizer_steps().at(model);
}

absl::Status CheckpointReader::Read(const std::string& model, StateKind kind, int block,
                                    int64_t begin, std::span<float> out) const {
  const Model& from = models_.at(model);
  const TensorPieces& pieces = kind == StateKind::kWeights ? from.weights : from.moments;
  const int64_t end = begin + static_cast<int64_t>(out.size());
  for (const TensorSlot& slot : from.layout.blocks()[block].tensors) {
    const int64_t first = std::max(begin, slot.offset);
    const int64_t last = std::min(end, slot.offset + slot.num_elements);
    if (first >= last) continue;
    SY_RETURN_IF_ERROR(pieces.Read(absl::StrCat(AbslView(TensorPrefix(kind)), slot.name),
                                   first - slot.offset, out.subspan(first - begin, last - first)));
  }
  return absl::OkStatus();
}

TensorSource CheckpointReader::Weights(const std::string& model) const {
  const TensorPieces& pieces = models_.at(model).weights;
  return [&pieces](const TensorSlot& slot) { return pieces.ReadWhole(slot); };
}

}  // namespace switchyard
