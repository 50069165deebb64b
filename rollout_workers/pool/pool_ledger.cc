#include "rollout_workers/pool/pool_ledger.h"

#include <google/protobuf/util/json_util.h>

#include <random>

#include "absl/strings/str_cat.h"
#include "common/network_address.h"
#include "common/status_macros.h"

namespace routewright {

absl::StatusOr<std::string> LedgerLine(PoolCall call, absl::Time time) {
  call.set_time(absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", time, absl::UTCTimeZone()));
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string line;
  const auto status = google::protobuf::util::MessageToJsonString(call, &line, options);
  if (!status.ok()) {
    return absl::InternalError(absl::StrCat("cannot write pool call ", call.call_id(),
                                            " as JSON: ", std::string(status.message())));
  }
  line += '\n';
  return line;
}

PoolLedger::PoolLedger(std::unique_ptr<WritableFile> file, std::string prefix)
    : file_(std::move(file)), prefix_(std::move(prefix)) {}

absl::StatusOr<PoolLedger> PoolLedger::Open(FileSystem& files, const std::string& folder,
                                            absl::Time now) {
  std::random_device device;  // 32 bits a draw
  std::string prefix =
      absl::StrCat(absl::Hex(device(), absl::kZeroPad8), absl::Hex(device(), absl::kZeroPad8));
  RW_RETURN_IF_ERROR(files.CreateFolders(folder));
  RW_ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file,
                      files.OpenForAppend(absl::StrCat(
                          folder, "/", absl::FormatTime("%Y%m%dT%H%M%SZ", now, absl::UTCTimeZone()),
                          "-", HostName(), "-", prefix, ".jsonl")));
  return PoolLedger(std::move(file), std::move(prefix));
}

absl::Status PoolLedger::Write(PoolCall& call, absl::Time time) {
  call.set_charge_id(absl::StrCat(prefix_, "-", ++num_charges_));
  RW_ASSIGN_OR_RETURN(const std::string line, LedgerLine(call, time));
  return file_->Append(line);
}

}  // namespace routewright
