#include "trainer/checkpoint/checkpoint_writer.h"

#include <algorithm>
#include <set>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/absl_view.h"
#include "common/check.h"
#include "common/status_macros.h"
#include "policy/formats/safetensors.h"
#include "policy/formats/tensor_pieces.h"
#include "policy/model/parameter_layout.h"
#include "trainer/checkpoint/checkpoint_files.h"
#include "trainer/checkpoint/checkpoint_manifest.h"
#include "trainer/checkpoint/checksummed_file.h"

namespace routewright {
namespace {

// Files of one folder, each synced and entered into a manifest.
class FolderWriter {
 public:
  FolderWriter(FileSystem& files, const std::string& folder, int rank, CheckpointManifest& manifest,
               const std::function<bool()>& is_given_up)
      : files_(files),
        folder_(folder),
        rank_(rank),
        manifest_(manifest),
        is_given_up_(is_given_up) {}

  absl::Status WriteText(const std::string& name, std::string_view text) {
    return Write(name, files_.OpenForWrite(PathOf(name)),
                 [&](ChecksummedFile& file, CheckpointFile& entry) {
                   const absl::Status status = file.Append(text);
                   entry.set_crc32c(file.TakeCrc32c());
                   return status;
                 });
  }

  absl::Status WriteTensors(const std::string& name, std::span<const SafetensorsEntry> tensors) {
    std::vector<SafetensorsShape> shapes;
    for (const SafetensorsEntry& tensor : tensors) shapes.push_back({tensor.name, tensor.shape});
    return Write(
        name, files_.OpenForBulkWrite(PathOf(name)),
        [&](ChecksummedFile& file, CheckpointFile& entry) {
          // What was written since the last tensor's turn is the header, or that tensor.
          const auto end_of_tensor = [&](size_t i) {
            const uint32_t crc32c = file.TakeCrc32c();
            i == 0 ? entry.set_crc32c(crc32c) : entry.mutable_tensors(i - 1)->set_crc32c(crc32c);
          };
          const auto values_of = [&](size_t i) -> absl::StatusOr<std::span<const float>> {
            if (is_given_up_()) return absl::CancelledError("the checkpoint was given up");
            end_of_tensor(i);
            entry.add_tensors()->set_name(tensors[i].name);
            return tensors[i].values;
          };
          RW_RETURN_IF_ERROR(WriteSafetensors(file, shapes, WeightFormat::kF32, values_of));
          end_of_tensor(tensors.size());
          return absl::OkStatus();
        });
  }

 private:
  std::string PathOf(const std::string& name) const { return absl::StrCat(folder_, "/", name); }

  template <typename Fill>
  absl::Status Write(const std::string& name, absl::StatusOr<std::unique_ptr<WritableFile>> target,
                     const Fill& fill) {
    RW_RETURN_IF_ERROR(target.status());
    ChecksummedFile file(*std::move(target));
    CheckpointFile entry;
    RW_RETURN_IF_ERROR(fill(file, entry));
    RW_RETURN_IF_ERROR(file.Sync());
    RW_RETURN_IF_ERROR(file.Close());
    entry.set_name(name);
    entry.set_rank(rank_);
    entry.set_num_bytes(file.num_bytes());
    *manifest_.add_files() = std::move(entry);
    return absl::OkStatus();
  }

  FileSystem& files_;
  const std::string& folder_;
  const int rank_;
  CheckpointManifest& manifest_;
  const std::function<bool()>& is_given_up_;
};

// The tensors, whole or cut, that a rank's parts of the blocks are.
std::vector<SafetensorsEntry> Entries(const ParameterLayout& layout,
                                      const std::vector<BlockPart>& parts,
                                      std::string_view prefix) {
  RW_CHECK(parts.size() == layout.blocks().size()) << parts.size() << " parts";
  std::vector<SafetensorsEntry> entries;
  for (size_t b = 0; b < parts.size(); ++b) {
    const int64_t part_end = parts[b].begin + static_cast<int64_t>(parts[b].values.size());
    for (const TensorSlot& slot : layout.blocks()[b].tensors) {
      const int64_t begin = std::max(slot.offset, parts[b].begin);
      const int64_t end = std::min(slot.offset + slot.num_elements, part_end);
      if (begin >= end) continue;
      const bool is_whole = end - begin == slot.num_elements;
      const std::string name = absl::StrCat(AbslView(prefix), slot.name);
      entries.push_back(
          {.name = is_whole ? name : PieceName(name, begin - slot.offset, end - slot.offset),
           .shape = is_whole ? slot.shape : std::vector<int64_t>{end - begin},
           .values = parts[b].values.subspan(begin - parts[b].begin, end - begin)});
    }
  }
  return entries;
}

// The part of a rank once it is there. Fails: kDeadlineExceeded, kCancelled.
absl::StatusOr<CheckpointManifest> WaitForPart(FileSystem& files, const std::string& folder,
                                               int rank, absl::Time deadline,
                                               const std::function<bool()>& is_given_up) {
  const std::string path = absl::StrCat(folder, "/", PartName(rank));
  while (!files.Exists(path)) {
    if (is_given_up()) return absl::CancelledError("the checkpoint was given up");
    if (absl::Now() > deadline) {
      return absl::DeadlineExceededError(absl::StrCat(
          "rank ", rank, " did not write ", path,
          " in time: is this folder on a file system that all hosts share? If it is only slow, "
          "raise trainer.checkpoint.write_deadline_s"));
    }
    absl::SleepFor(absl::Milliseconds(5));
  }
  RW_ASSIGN_OR_RETURN(const std::string text, files.Read(path));
  return ParseManifest(text, path);
}

absl::Status WriteSealed(FileSystem& files, const std::string& path,
                         const CheckpointManifest& manifest) {
  RW_ASSIGN_OR_RETURN(const std::string text, SerializeManifest(manifest));
  return WriteFileAtomically(files, path, text);
}

absl::Status SyncFolders(FileSystem& files, const std::string& folder,
                         const CheckpointManifest& manifest) {
  std::set<std::string> folders;
  for (const CheckpointFile& file : manifest.files()) {
    const size_t slash = file.name().rfind('/');
    if (slash != std::string::npos) folders.insert(file.name().substr(0, slash));
  }
  for (const std::string& name : folders) {
    RW_RETURN_IF_ERROR(files.SyncFolder(absl::StrCat(folder, "/", name)));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status MakeCheckpointFolders(FileSystem& files, const std::string& folder,
                                   const std::vector<std::string>& models) {
  RW_RETURN_IF_ERROR(files.CreateFolders(folder + "/optimizer"));
  for (const std::string& model : models) {
    RW_RETURN_IF_ERROR(files.CreateFolders(absl::StrCat(folder, "/", model)));
  }
  return absl::OkStatus();
}

absl::Status WriteRankFiles(FileSystem& files, const std::string& folder, const ModelConfig& config,
                            const StateShare& state, int rank, int num_ranks,
                            const std::function<bool()>& is_given_up) {
  CheckpointManifest part;
  part.set_format_version(kCheckpointFormatVersion);
  FolderWriter writer(files, folder, rank, part, is_given_up);
  for (const auto& [model, share] : state) {
    const ParameterLayout layout = LayoutOfModel(model, config);
    RW_RETURN_IF_ERROR(
        writer.WriteTensors(TensorFileName(model, StateKind::kWeights, rank, num_ranks),
                            Entries(layout, share.weights, "")));
    (*part.mutable_learner()->mutable_optimizer_steps())[model] = share.optimizer_steps;
    if (!HasMoments(model)) continue;
    std::vector<SafetensorsEntry> moments;
    for (const StateKind kind : {StateKind::kFirstMoments, StateKind::kSecondMoments}) {
      for (SafetensorsEntry& entry : Entries(layout, share.of(kind), TensorPrefix(kind))) {
        moments.push_back(std::move(entry));
      }
    }
    RW_RETURN_IF_ERROR(writer.WriteTensors(
        TensorFileName(model, StateKind::kFirstMoments, rank, num_ranks), moments));
  }
  RW_RETURN_IF_ERROR(SyncFolders(files, folder, part));
  return WriteSealed(files, absl::StrCat(folder, "/", PartName(rank)), part);
}

absl::Status FinishCheckpointFolder(FileSystem& files, const std::string& folder,
                                    const CheckpointTexts& texts, absl::Duration deadline,
                                    const std::function<bool()>& is_given_up) {
  CheckpointManifest manifest = texts.manifest;
  manifest.set_format_version(kCheckpointFormatVersion);
  FolderWriter writer(files, folder, /*rank=*/0, manifest, is_given_up);
  for (const auto& [name, text] : texts.texts) RW_RETURN_IF_ERROR(writer.WriteText(name, text));
  RW_RETURN_IF_ERROR(SyncFolders(files, folder, manifest));
  const absl::Time end = absl::Now() + deadline;
  for (int rank = 0; rank < manifest.num_ranks(); ++rank) {
    RW_ASSIGN_OR_RETURN(const CheckpointManifest part,
                        WaitForPart(files, folder, rank, end, is_given_up));
    manifest.mutable_files()->MergeFrom(part.files());
    *manifest.mutable_learner()->mutable_optimizer_steps() = part.learner().optimizer_steps();
  }
  RW_RETURN_IF_ERROR(WriteSealed(files, absl::StrCat(folder, "/", kManifestName), manifest));
  for (int rank = 0; rank < manifest.num_ranks(); ++rank) {
    RW_RETURN_IF_ERROR(files.RemoveAll(absl::StrCat(folder, "/", PartName(rank))));
  }
  return files.SyncFolder(folder);
}

}  // namespace routewright
