#include "trainer/checkpoint/checkpoint_reader.h"

#include <algorithm>
#include <atomic>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/absl_view.h"
#include "common/crc32c.h"
#include "common/status_macros.h"
#include "policy/formats/mapped_file.h"
#include "policy/formats/policy_folder.h"
#include "policy/formats/safetensors.h"
#include "trainer/checkpoint/checkpoint_files.h"
#include "trainer/checkpoint/checkpoint_manifest.h"

namespace routewright {
namespace {

absl::Status Damaged(const std::string& path, const std::string& what) {
  return absl::DataLossError(absl::StrCat(path, " is damaged: ", what));
}

// Bytes that are to have a checksum; `what` they are, for a fault.
struct ByteCheck {
  std::string_view bytes;
  uint32_t crc32c = 0;
  std::string path, what;
};

// Files that stay mapped until their bytes are checked.
class FileChecks {
 public:
  // Checks what needs no pass over the file: that it is there, its size, header and names.
  absl::Status Add(const std::string& folder, const CheckpointFile& expected) {
    const std::string path = absl::StrCat(folder, "/", expected.name());
    auto file = MappedFile::Open(path);
    if (!file.ok()) {
      return absl::DataLossError(
          absl::StrCat("the checkpoint lacks a file: ", std::string(file.status().message())));
    }
    const std::string_view bytes = (*file)->bytes();
    if (bytes.size() != expected.num_bytes()) {
      return Damaged(
          path, absl::StrCat("it has ", bytes.size(), " bytes instead of ", expected.num_bytes()));
    }
    if (absl::EndsWith(path, ".safetensors")) return AddTensors(path, expected);
    checks_.push_back({bytes, expected.crc32c(), path, "its checksum"});
    texts_.push_back(*std::move(file));
    return absl::OkStatus();
  }

  // The first fault in the files' order, whichever thread meets it.
  absl::Status Run(int num_threads) const {
    std::vector<char> is_good(checks_.size());
    std::atomic<size_t> next = 0;
    const auto work = [&] {
      for (size_t i = next++; i < checks_.size(); i = next++) {
        MapPages(checks_[i].bytes);
        is_good[i] = Crc32c(checks_[i].bytes) == checks_[i].crc32c;
      }
    };
    {
      std::vector<std::jthread> helpers;
      for (int i = 1; i < num_threads; ++i) helpers.emplace_back(work);
      work();
    }
    for (size_t i = 0; i < checks_.size(); ++i) {
      if (is_good[i]) continue;
      return Damaged(checks_[i].path, absl::StrCat(checks_[i].what, " does not match"));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status AddTensors(const std::string& path, const CheckpointFile& expected) {
    auto file = SafetensorsFile::Open(path);
    if (!file.ok()) return Damaged(path, std::string(file.status().message()));
    checks_.push_back({(*file)->header(), expected.crc32c(), path, "the checksum of its header"});
    const std::vector<SafetensorsTensor>& tensors = (*file)->tensors();
    if (static_cast<int>(tensors.size()) != expected.tensors_size()) {
      return Damaged(path, absl::StrCat("it has ", tensors.size(), " tensors instead of ",
                                        expected.tensors_size()));
    }
    for (int i = 0; i < expected.tensors_size(); ++i) {
      const std::string& name = expected.tensors(i).name();
      if (tensors[i].name != name) {
        return Damaged(path,
                       absl::StrCat("it has tensor ", tensors[i].name, " in the place of ", name));
      }
      checks_.push_back({tensors[i].bytes, expected.tensors(i).crc32c(), path,
                         absl::StrCat("the checksum of tensor ", name)});
    }
    tensors_.push_back(*std::move(file));
    return absl::OkStatus();
  }

  std::vector<ByteCheck> checks_;
  std::vector<std::unique_ptr<MappedFile>> texts_;
  std::vector<std::unique_ptr<SafetensorsFile>> tensors_;
};

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
  RW_ASSIGN_OR_RETURN(const std::string text, files.Read(path));
  RW_ASSIGN_OR_RETURN(CheckpointManifest manifest, ParseManifest(text, path));
  return std::unique_ptr<CheckpointReader>(new CheckpointReader(folder, std::move(manifest)));
}

absl::StatusOr<std::unique_ptr<CheckpointReader>> CheckpointReader::OpenWhole(
    FileSystem& files, const std::string& folder, int num_threads) {
  RW_ASSIGN_OR_RETURN(auto reader, Open(files, folder));
  RW_RETURN_IF_ERROR(reader->Verify(/*reader=*/0, /*num_readers=*/1, num_threads));
  RW_RETURN_IF_ERROR(reader->OpenTensors());
  return reader;
}

absl::Status CheckpointReader::VerifyFile(const std::string& folder,
                                          const CheckpointFile& expected) {
  FileChecks checks;
  RW_RETURN_IF_ERROR(checks.Add(folder, expected));
  return checks.Run(/*num_threads=*/1);
}

absl::Status CheckpointReader::Verify(int reader, int num_readers, int num_threads) const {
  FileChecks checks;
  for (const CheckpointFile& file : manifest_.files()) {
    if (file.rank() % num_readers == reader) RW_RETURN_IF_ERROR(checks.Add(folder_, file));
  }
  return checks.Run(num_threads);
}

absl::Status CheckpointReader::OpenTensors() {
  RW_ASSIGN_OR_RETURN(config_, LoadModelConfig(folder_ + "/policy"));
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
    RW_ASSIGN_OR_RETURN(TensorPieces weights, TensorPieces::Open(paths(StateKind::kWeights)));
    RW_RETURN_IF_ERROR(weights.Check(layout, TensorPrefix(StateKind::kWeights)));
    TensorPieces moments;
    if (HasMoments(name)) {
      RW_ASSIGN_OR_RETURN(moments, TensorPieces::Open(paths(StateKind::kFirstMoments)));
      for (const StateKind kind : {StateKind::kFirstMoments, StateKind::kSecondMoments}) {
        RW_RETURN_IF_ERROR(moments.Check(layout, TensorPrefix(kind)));
      }
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
    RW_RETURN_IF_ERROR(pieces.Read(absl::StrCat(AbslView(TensorPrefix(kind)), slot.name),
                                   first - slot.offset, out.subspan(first - begin, last - first)));
  }
  return absl::OkStatus();
}

TensorSource CheckpointReader::Weights(const std::string& model) const {
  const TensorPieces& pieces = models_.at(model).weights;
  return [&pieces](const TensorSlot& slot) { return pieces.ReadWhole(slot); };
}

}  // namespace routewright
