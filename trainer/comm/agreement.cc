#include "trainer/comm/agreement.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status_macros.h"

namespace routewright {
namespace {

// The first line in which two texts differ, of each.
std::pair<std::string, std::string> FirstDifference(const std::string& a, const std::string& b) {
  const std::vector<std::string> ours = absl::StrSplit(a, '\n'), theirs = absl::StrSplit(b, '\n');
  const auto [mine, other] = std::mismatch(ours.begin(), ours.end(), theirs.begin(), theirs.end());
  return {mine == ours.end() ? "" : *mine, other == theirs.end() ? "" : *other};
}

}  // namespace

absl::Status AgreeOnStatus(Communicator& communicator, std::string_view name,
                           const absl::Status& mine) {
  if (communicator.size() == 1) return mine;
  std::vector<int64_t> codes(communicator.size(), 0);
  int64_t my_code = static_cast<int64_t>(mine.code());
  RW_RETURN_IF_ERROR(communicator
                         .AllGather(name,
                                    {.data = &my_code, .num_elements = 1, .type = CommType::kInt64},
                                    {.data = codes.data(),
                                     .num_elements = static_cast<int64_t>(codes.size()),
                                     .type = CommType::kInt64})
                         ->Wait());
  const auto failed = std::find_if(codes.begin(), codes.end(), [](int64_t c) { return c != 0; });
  if (failed == codes.end()) return absl::OkStatus();
  const int rank = static_cast<int>(failed - codes.begin());
  std::string message(mine.message());
  RW_RETURN_IF_ERROR(BroadcastString(communicator, name, message, rank));
  return absl::Status(static_cast<absl::StatusCode>(*failed),
                      absl::StrCat("rank ", rank, ": ", message));
}

absl::Status AgreeOnStart(Communicator& communicator, const std::string& mine) {
  std::string of_rank_0 = mine;
  RW_RETURN_IF_ERROR(BroadcastString(communicator, "start", of_rank_0, /*root=*/0));
  absl::Status status;
  if (mine != of_rank_0) {
    const auto [ours, theirs] = FirstDifference(mine, of_rank_0);
    status = absl::InvalidArgumentError(
        absl::StrCat("was started with '", ours, "' and rank 0 with '", theirs,
                     "': give every rank the same program, --config and --set"));
  }
  return AgreeOnStatus(communicator, "start", status);
}

}  // namespace routewright
