// The record of every paid call: one JSON line a call, a PoolCall with the time, in
// runs/<name>/pool_ledger/. Every process has a file of its own there: on a network file system
// lines of several hosts that are appended to one file at once overwrite one another.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/file_system.h"
#include "proto/episode.pb.h"

namespace routewright {

// The call as its ledger line, newline included: field names as in episode.proto, zeros written
// out, 64-bit numbers as JSON strings (proto3's JSON mapping).
absl::StatusOr<std::string> LedgerLine(PoolCall call, absl::Time time);

// One thread.
class PoolLedger {
 public:
  // Begins a file in `folder`, which is made: 20261125T085057Z-HOST-2afae4fa9cc2a46c.jsonl, by when
  // it was begun and what its charge ids begin with.
  static absl::StatusOr<PoolLedger> Open(FileSystem& files, const std::string& folder,
                                         absl::Time now = absl::Now());
  // Gives the call its charge id and writes its line. Returns once the line is with the operating
  // system: it survives this process, but not a power cut. Fails with the file system's error (disk
  // full); then the line is not in the file, or not whole.
  absl::Status Write(PoolCall& call, absl::Time time);

 private:
  PoolLedger(std::unique_ptr<WritableFile> file, std::string prefix);
  std::unique_ptr<WritableFile> file_;
  std::string prefix_;  // of this ledger's charge ids: random
  int64_t num_charges_ = 0;
};

}  // namespace routewright
