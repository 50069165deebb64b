// The real disk until a given operation, and dead from then on: as if the power had been cut there.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "common/file_system.h"

namespace switchyard {

class CutFileSystem final : public FileSystem {
 public:
  // The operations [0, cut_at) succeed. Reading always does.
  explicit CutFileSystem(int cut_at) : cut_at_(cut_at) {}
  int num_operations() const { return num_operations_; }

  absl::StatusOr<std::unique_ptr<WritableFile>> OpenForWrite(const std::string& path) override {
    return Open(path, &FileSystem::OpenForWrite);
  }
  absl::StatusOr<std::unique_ptr<WritableFile>> OpenForAppend(const std::string& path) override {
    return Open(path, &FileSystem::OpenForAppend);
  }
  absl::StatusOr<std::string> Read(const std::string& path) override { return disk_.Read(path); }
  absl::Status Rename(const std::string& from, const std::string& to) override {
    return IsAlive() ? disk_.Rename(from, to) : Dead();
  }
  absl::Status SyncFolder(const std::string& path) override {
    return IsAlive() ? disk_.SyncFolder(path) : Dead();
  }
  absl::Status CreateFolders(const std::string& path) override {
    return IsAlive() ? disk_.CreateFolders(path) : Dead();
  }
  absl::Status RemoveAll(const std::string& path) override {
    return IsAlive() ? disk_.RemoveAll(path) : Dead();
  }
  absl::StatusOr<std::vector<std::string>> List(const std::string& path) override {
    return disk_.List(path);
  }
  bool Exists(const std::string& path) override { return disk_.Exists(path); }

 private:
  class CutFile final : public WritableFile {
   public:
    CutFile(CutFileSystem& files, std::unique_ptr<WritableFile> target)
        : files_(files), target_(std::move(target)) {}
    absl::Status Append(std::string_view data) override {
      if (files_.IsAlive()) return target_->Append(data);
      target_->Append(data.substr(0, data.size() / 2)).IgnoreError();  // a torn write
      return Dead();
    }
    absl::Status Sync() override { return files_.IsAlive() ? target_->Sync() : Dead(); }
    absl::Status Close() override { return files_.IsAlive() ? target_->Close() : Dead(); }

   private:
    CutFileSystem& files_;
    const std::unique_ptr<WritableFile> target_;
  };

  using OpenMethod =
      absl::StatusOr<std::unique_ptr<WritableFile>> (FileSystem::*)(const std::string&);
  absl::StatusOr<std::unique_ptr<WritableFile>> Open(const std::string& path, OpenMethod open) {
    if (!IsAlive()) return Dead();
    auto file = (disk_.*open)(path);
    if (!file.ok()) return file.status();
    return std::make_unique<CutFile>(*this, *std::move(file));
  }
  bool IsAlive() { return num_operations_++ < cut_at_; }
  static absl::Status Dead() { return absl::UnavailableError("the power was cut"); }

  FileSystem& disk_ = FileSystem::Posix();
  const int cut_at_;
  int num_operations_ = 0;
};

}  // namespace switchyard
