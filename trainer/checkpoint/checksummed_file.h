// A file that is being written, with its size and the CRC-32C of what came since it
// was last asked. One thread.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>

#include "common/crc32c.h"
#include "common/file_system.h"
#include "common/status_macros.h"

namespace routewright {

class ChecksummedFile final : public WritableFile {
 public:
  explicit ChecksummedFile(std::unique_ptr<WritableFile> target) : target_(std::move(target)) {}

  absl::Status Append(std::string_view data) override {
    constexpr size_t kPiece = size_t{1} << 20;  // is still in the cache when it is written
    for (; !data.empty(); data.remove_prefix(std::min(kPiece, data.size()))) {
      const std::string_view piece = data.substr(0, kPiece);
      crc32c_ = ExtendCrc32c(crc32c_, piece);
      RW_RETURN_IF_ERROR(target_->Append(piece));
      num_bytes_ += piece.size();
    }
    return absl::OkStatus();
  }
  absl::Status Sync() override { return target_->Sync(); }
  absl::Status Close() override { return target_->Close(); }

  uint64_t num_bytes() const { return num_bytes_; }
  // Of the bytes since the last call, or the file's start.
  uint32_t TakeCrc32c() { return std::exchange(crc32c_, 0); }

 private:
  const std::unique_ptr<WritableFile> target_;
  uint64_t num_bytes_ = 0;
  uint32_t crc32c_ = 0;
};

}  // namespace routewright
