#include "trainer/trace/trace_gathering.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/network_address.h"
#include "common/status_macros.h"
#include "common/trace.h"

namespace switchyard {
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
    SY_RETURN_IF_ERROR(communicator.Barrier("trace")->Wait());
    const int64_t now = absl::ToUnixMicros(absl::Now());
    SY_RETURN_IF_ERROR(GatherIntegers(communicator, now, times));
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
  SY_ASSIGN_OR_RETURN(const int64_t offset, CompareClocks(communicator));
  mine.set_clock_offset_us(offset);

  std::string bytes = mine.SerializeAsString();
  std::vector<int64_t> sizes;
  SY_RETURN_IF_ERROR(GatherIntegers(communicator, static_cast<int64_t>(bytes.size()), sizes));
  const int64_t longest = *std::max_element(sizes.begin(), sizes.end());
  bytes.resize(longest);
  std::string all(longest * communicator.size(), '\0');
  SY_RETURN_IF_ERROR(
      communicator
          .AllGather("trace",
                     {.data = bytes.data(), .num_elements = longest, .type = CommType::kByte},
                     {.data = all.data(),
                      .num_elements = static_cast<int64_t>(all.size()),
                      .type = CommType::kByte})
          ->Wait());
  std::vector<RankTrace> traces;
  if (communicator.rank() != 0) return traces;
  for (int rank = 0; rank < communicator.size(); ++rank) {
    RankTrace trace;
    if (!trace.ParseFromString(all.substr(rank * longest, sizes[rank]))) {
      return absl::DataLossError(absl::StrCat("the trace of rank ", rank, " arrived damaged"));
    }
    traces.push_back(std::move(trace));
  }
  return traces;
}

}  // namespace switchyard
