#include "trainer/comm/agreement.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace switchyard {

absl::Status AgreeOnStatus(Communicator& communicator, std::string_view name,
                           const absl::Status& mine) {
  if (communicator.size() == 1) return mine;
  std::vector<int64_t> codes(communicator.size(), 0);
  int64_t my_code = static_cast<int64_t>(mine.code());
  SY_RETURN_IF_ERROR(communicator
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
  SY_RETURN_IF_ERROR(BroadcastString(communicator, name, message, rank));
  return absl::Status(static_cast<absl::StatusCode>(*failed),
                      absl::StrCat("rank ", rank, ": ", message));
}

}  // namespace switchyard
