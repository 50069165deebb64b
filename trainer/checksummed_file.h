// A file that is being written, with its size and CRC-32C so far. One thread.
#pragma once

#include <memory>
#include <utility>

#include "common/crc32c.h"
#include "common/file_system.h"

namespace switchyard {

class ChecksummedFile final : public WritableFile {
 public:
  explicit ChecksummedFile(std::unique_ptr<WritableFile> target) : target_(std::move(target)) {}

  absl::Status Append(std::string_view data) override {
    num_bytes_ += data.size();
    crc32c_ = ExtendCrc32c(crc32c_, data);
    return target_->Append(data);
  }
  absl::Status Sync() override { return target_->Sync(); }
  absl::Status Close() override { return target_->Close(); }

  uint64_t num_bytes() const { return num_bytes_; }
  uint32_t crc32c() const { return crc32c_; }

 private:
  const std::unique_ptr<WritableFile> target_;
  uint64_t num_bytes_ = 0;
  uint32_t crc32c_ = 0;
};

}  // namespace switchyard
