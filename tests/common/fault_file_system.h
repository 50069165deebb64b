// A file layer that goes wrong where a test says: an operation that fails, a disk that is full, a
// process that is killed, a machine that loses power. It works on the files of another file system,
// by default the real one. Operations that can go wrong are counted from 1: open, write, sync,
// close, rename, sync folder, make folders, remove.
//
//   for (int n = 1;; ++n) {
//     FaultFileSystem files;
//     files.At(n, Fault::kKilled);
//     Save(files, path);
//     files.LosePower(/*keeps_renames=*/true);
//     … path holds the old content or the new, whole …
//     if (!files.has_struck()) break;      // n was past the last operation
//   }
// One thread.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/file_system.h"

namespace routewright {

enum class Fault {
  kFails,     // this operation fails once, without effect
  kDiskFull,  // this write and all after it find no room: half of it is written. Other operations
              // go on
  kKilled,    // the process ends in the middle: half of this write is done, nothing after it
};

class FaultFileSystem final : public FileSystem {
 public:
  explicit FaultFileSystem(FileSystem& base = FileSystem::Posix()) : base_(base) {}

  // The fault strikes at the n-th operation from now.
  void At(int n, Fault fault) {
    strike_at_ = num_operations_ + n;
    fault_ = fault;
    has_struck_ = false;
  }
  bool has_struck() const { return has_struck_; }
  int num_operations() const { return num_operations_; }

  // The machine stops: bytes that were not synced are gone, and renames whose folder was
  // not synced are kept or undone. A disk may do either, so test both. Files are read
  // afterwards through the base.
  void LosePower(bool keeps_renames) {
    for (auto rename = renames_.rbegin(); rename != renames_.rend() && !keeps_renames; ++rename)
      Undo(*rename);
    for (const auto& [path, synced] : unsynced_) {
      if (base_.Exists(path)) Put(path, synced);
    }
    renames_.clear();
    unsynced_.clear();
  }

  absl::StatusOr<std::unique_ptr<WritableFile>> OpenForWrite(const std::string& path) override {
    if (absl::Status status = Step("open"); !status.ok()) return status;
    unsynced_[path] = "";
    return Wrap(path, base_.OpenForWrite(path));
  }
  absl::StatusOr<std::unique_ptr<WritableFile>> OpenForAppend(const std::string& path) override {
    if (absl::Status status = Step("open"); !status.ok()) return status;
    unsynced_.emplace(path, Content(path).value_or(""));
    return Wrap(path, base_.OpenForAppend(path));
  }
  absl::Status Rename(const std::string& from, const std::string& to) override {
    if (absl::Status status = Step("rename"); !status.ok()) return status;
    const Renamed renamed = {from, to, Content(to)};
    absl::Status status = base_.Rename(from, to);
    if (!status.ok()) return status;
    renames_.push_back(renamed);
    if (auto bytes = unsynced_.extract(from); !bytes.empty()) unsynced_[to] = bytes.mapped();
    return status;
  }
  absl::Status SyncFolder(const std::string& path) override {
    if (absl::Status status = Step("sync folder"); !status.ok()) return status;
    std::erase_if(renames_, [&](const Renamed& renamed) { return ParentOf(renamed.to) == path; });
    return base_.SyncFolder(path);
  }
  absl::Status CreateFolders(const std::string& path) override {
    absl::Status status = Step("make folders");
    return status.ok() ? base_.CreateFolders(path) : status;
  }
  absl::Status RemoveAll(const std::string& path) override {
    absl::Status status = Step("remove");
    return status.ok() ? base_.RemoveAll(path) : status;
  }
  absl::StatusOr<std::string> Read(const std::string& path) override { return base_.Read(path); }
  absl::StatusOr<std::vector<std::string>> List(const std::string& path) override {
    return base_.List(path);
  }
  bool Exists(const std::string& path) override { return base_.Exists(path); }

 private:
  struct Renamed {
    std::string from, to;
    std::optional<std::string> replaced;  // what `to` held before, if it was there
  };

  class File final : public WritableFile {
   public:
    File(FaultFileSystem& files, std::string path, std::unique_ptr<WritableFile> base)
        : files_(files), path_(std::move(path)), base_(std::move(base)) {}
    absl::Status Append(std::string_view data) override {
      absl::Status status = files_.Step("write");
      files_.unsynced_.emplace(path_, files_.Content(path_).value_or(""));
      if (status.ok()) return base_->Append(data);
      if (files_.tears_write_) base_->Append(data.substr(0, data.size() / 2)).IgnoreError();
      return status;
    }
    absl::Status Sync() override {
      if (absl::Status status = files_.Step("sync"); !status.ok()) return status;
      absl::Status status = base_->Sync();
      if (status.ok()) files_.unsynced_.erase(path_);
      return status;
    }
    absl::Status Close() override {
      absl::Status status = files_.Step("close");
      return status.ok() ? base_->Close() : status;
    }

   private:
    FaultFileSystem& files_;
    const std::string path_;
    std::unique_ptr<WritableFile> base_;
  };

  // Counts an operation and says whether it goes wrong.
  absl::Status Step(const std::string& operation) {
    const bool is_struck = ++num_operations_ == strike_at_;
    const bool was_struck = has_struck_;
    has_struck_ |= is_struck;
    const bool is_write = operation == "write";
    tears_write_ = is_write && is_struck && fault_ != Fault::kFails;
    switch (fault_) {
      case Fault::kFails:
        return is_struck ? absl::InternalError(absl::StrCat("cannot ", operation, ": injected"))
                         : absl::OkStatus();
      case Fault::kDiskFull:
        return is_write && has_struck_
                   ? absl::ResourceExhaustedError("No space left on device: injected")
                   : absl::OkStatus();
      case Fault::kKilled:
        return is_struck || was_struck ? absl::CancelledError("the process was killed: injected")
                                       : absl::OkStatus();
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::unique_ptr<WritableFile>> Wrap(
      const std::string& path, absl::StatusOr<std::unique_ptr<WritableFile>> file) {
    if (!file.ok()) return file.status();
    return std::make_unique<File>(*this, path, std::move(*file));
  }

  static std::string ParentOf(const std::string& path) {
    const size_t slash = path.rfind('/');
    return slash == std::string::npos ? "." : path.substr(0, slash);
  }
  // A file's bytes; null if there is none.
  std::optional<std::string> Content(const std::string& path) {
    if (!base_.Exists(path)) return std::nullopt;
    const absl::StatusOr<std::string> bytes = base_.Read(path);
    return bytes.ok() ? std::optional<std::string>(*bytes) : std::nullopt;
  }
  void Put(const std::string& path, const std::string& bytes) {
    auto file = base_.OpenForWrite(path);
    if (file.ok()) (*file)->Append(bytes).IgnoreError();
  }
  void Undo(const Renamed& renamed) {
    base_.Rename(renamed.to, renamed.from).IgnoreError();
    if (auto bytes = unsynced_.extract(renamed.to); !bytes.empty())
      unsynced_[renamed.from] = bytes.mapped();
    if (renamed.replaced.has_value()) Put(renamed.to, *renamed.replaced);
  }

  FileSystem& base_;
  int num_operations_ = 0;
  int strike_at_ = 0;  // 0: never
  Fault fault_ = Fault::kFails;
  bool has_struck_ = false;
  bool tears_write_ = false;                     // the write that was just judged is half done
  std::map<std::string, std::string> unsynced_;  // path → the bytes of it that are on the disk
  std::vector<Renamed> renames_;                 // whose folder was not synced since, oldest first
};

}  // namespace routewright
