#include "trainer/packing.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/check.h"

namespace switchyard {
namespace {

// Places in order of falling length; equal lengths in order of place.
std::vector<int> LongestFirst(std::span<const int64_t> lengths) {
  std::vector<int> order(lengths.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return lengths[a] > lengths[b]; });
  return order;
}

// Each place into the emptiest of num_bins bins (the first of equals), or nothing if one does not
// fit.
std::optional<std::vector<std::vector<int>>> FillBins(std::span<const int64_t> lengths,
                                                      std::span<const int> order, int64_t num_bins,
                                                      int64_t capacity) {
  std::vector<std::vector<int>> bins(num_bins);
  std::vector<int64_t> tokens(num_bins, 0);
  for (int place : order) {
    const auto emptiest = std::min_element(tokens.begin(), tokens.end());
    if (*emptiest + lengths[place] > capacity) return std::nullopt;
    *emptiest += lengths[place];
    bins[emptiest - tokens.begin()].push_back(place);
  }
  return bins;
}

}  // namespace

absl::StatusOr<PackingPlan> PackTrajectories(std::span<const int64_t> lengths, int num_ranks,
                                             int64_t max_micro_batch_tokens) {
  SY_CHECK(num_ranks > 0 && max_micro_batch_tokens > 0)
      << num_ranks << " ranks, " << max_micro_batch_tokens << " tokens";
  int64_t total = 0;
  for (size_t b = 0; b < lengths.size(); ++b) {
    SY_CHECK(lengths[b] > 0) << "trajectory " << b << " has " << lengths[b] << " tokens";
    if (lengths[b] > max_micro_batch_tokens) {
      return absl::InvalidArgumentError(
          absl::StrCat("trajectory ", b, " of the batch has ", lengths[b],
                       " tokens, but trainer.max_micro_batch_tokens is ", max_micro_batch_tokens,
                       "; raise it to at least the longest trajectory"));
    }
    total += lengths[b];
  }
  const std::vector<int> order = LongestFirst(lengths);
  const int64_t tokens_at_once = max_micro_batch_tokens * num_ranks;
  int64_t per_rank = std::max<int64_t>(1, (total + tokens_at_once - 1) / tokens_at_once);
  auto bins = FillBins(lengths, order, per_rank * num_ranks, max_micro_batch_tokens);
  // One bin a trajectory always fits, so this ends.
  while (!bins) bins = FillBins(lengths, order, ++per_rank * num_ranks, max_micro_batch_tokens);

  PackingPlan plan(num_ranks, std::vector<std::vector<int>>(per_rank));
  for (int64_t bin = 0; bin < per_rank * num_ranks; ++bin) {
    std::vector<int>& places = (*bins)[bin];
    std::sort(places.begin(), places.end());
    plan[bin % num_ranks][bin / num_ranks] = std::move(places);
  }
  return plan;
}

}  // namespace switchyard
