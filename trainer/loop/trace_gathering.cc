#include "trainer/loop/trace_gathering.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/network_address.h"
#include "common/status_macros.h"
#include "common/trace.h"

namespace routewright {
namespace {

constexpr int kClockComparisons = 9;  // of which the median is taken

absl::Status GatherIntegers(Communicator& communicator, int64_t mine, std::vector<int64_t>& all) {
  all.assign(communicator.size(), 0);
  return communicator
      .AllGather(
          "trace", {.data = &mine, .num_elements = 1, .type = CommType::kInt64},
          {.data = all.data(), .num_elements = communicator.size(), .type = CommType::kInt64})
      ->Wait();
}

// By how much rank 0's clock is ahead of this rank's, in microseconds.
absl::StatusOr<int64_t> CompareClocks(Communicator& communicator) {
  std::vector<int64_t> offsets, times;
  for (int i = 0; i < kClockComparisons; ++i) {
    RW_RETURN_IF_ERROR(communicator.Barrier("trace")->Wait());
    const int64_t now = absl::ToUnixMicros(absl::Now());
    RW_RETURN_IF_ERROR(GatherIntegers(communicator, now, times));
    offsets.push_back(times[0] - now);
  }
  std::nth_element(offsets.begin(), offsets.begin() + kClockComparisons / 2, offsets.end());
  return offsets[kClockComparisons / 2];
}

}  // namespace

absl::StatusOr<std::vector<RankTrace>> GatherTraces(Communicator& communicator) {
  RankTrace mine;
  for (TraceSpan& span : EndTrace()) *mine.add_spans() = std::move(span);
  mine.set_host(HostName());
  mine.set_rank(communicator.rank());
  RW_ASSIGN_OR_RETURN(const int64_t offset, CompareClocks(communicator));
  mine.set_clock_offset_us(offset);

  std::vector<RankTrace> traces;
  absl::Status status;
  for (int rank = 0; rank < communicator.size(); ++rank) {  // one by one: no rank holds them all
    std::string bytes;
    if (rank == communicator.rank()) bytes = mine.SerializeAsString();
    RW_RETURN_IF_ERROR(BroadcastString(communicator, "trace", bytes, /*root=*/rank));
    if (communicator.rank() != 0) continue;
    if (!traces.emplace_back().ParseFromString(bytes)) {
      status = absl::DataLossError(absl::StrCat("the trace of rank ", rank, " arrived damaged"));
    }
  }
  if (!status.ok()) return status;
  return traces;
}

}  // namespace routewright
