#include "trainer/experience/packing.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "policy/model/parameter_layout.h"

namespace routewright {
namespace {

// Places in order of falling length; equal lengths in order of place.
std::vector<int> LongestFirst(std::span<const int64_t> lengths) {
  std::vector<int> order(lengths.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return lengths[a] > lengths[b]; });
  return order;
}

struct Bin {
  std::vector<int> places;
  int64_t tokens = 0;
  double work = 0.0;
};

enum class Rule { kLeastWork, kLeastRoom };

// Each place into one of num_bins bins that hold it, the first of equals; nothing if
// one does not fit anywhere.
std::optional<std::vector<Bin>> FillBins(std::span<const int64_t> lengths,
                                         std::span<const int> order, int64_t num_bins,
                                         int64_t capacity, const PackingWork& work, Rule rule) {
  std::vector<Bin> bins(num_bins);
  for (int place : order) {
    Bin* best = nullptr;
    for (Bin& bin : bins) {
      if (bin.tokens + lengths[place] > capacity) continue;
      const bool is_better =
          best == nullptr ||
          (rule == Rule::kLeastWork ? bin.work < best->work : bin.tokens > best->tokens);
      if (is_better) best = &bin;
    }
    if (best == nullptr) return std::nullopt;
    best->places.push_back(place);
    best->tokens += lengths[place];
    best->work += work.Of(lengths[place]);
  }
  return bins;
}

std::optional<std::vector<Bin>> FillBins(std::span<const int64_t> lengths,
                                         std::span<const int> order, int64_t num_bins,
                                         int64_t capacity, const PackingWork& work) {
  auto bins = FillBins(lengths, order, num_bins, capacity, work, Rule::kLeastWork);
  return bins ? bins : FillBins(lengths, order, num_bins, capacity, work, Rule::kLeastRoom);
}

// The heaviest num_ranks bins first, one to a rank, then the next, back and forth.
PackingPlan DealBins(std::vector<Bin> bins, int num_ranks) {
  std::stable_sort(bins.begin(), bins.end(),
                   [](const Bin& a, const Bin& b) { return a.work > b.work; });
  PackingPlan plan(num_ranks);
  for (size_t i = 0; i < bins.size(); ++i) {
    const int place = static_cast<int>(i % num_ranks);
    const bool is_forth = (i / num_ranks) % 2 == 0;
    std::sort(bins[i].places.begin(), bins[i].places.end());
    plan[is_forth ? place : num_ranks - 1 - place].push_back(std::move(bins[i].places));
  }
  return plan;
}

}  // namespace

absl::StatusOr<PackingPlan> PackTrajectories(std::span<const int64_t> lengths, int num_ranks,
                                             int64_t max_micro_batch_tokens,
                                             const PackingWork& work) {
  RW_CHECK(num_ranks > 0 && max_micro_batch_tokens > 0)
      << num_ranks << " ranks, " << max_micro_batch_tokens << " tokens";
  int64_t total = 0;
  for (size_t b = 0; b < lengths.size(); ++b) {
    RW_CHECK(lengths[b] > 0) << "trajectory " << b << " has " << lengths[b] << " tokens";
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
  auto bins = FillBins(lengths, order, per_rank * num_ranks, max_micro_batch_tokens, work);
  // One bin a trajectory always fits, so this ends.
  while (!bins) {
    bins = FillBins(lengths, order, ++per_rank * num_ranks, max_micro_batch_tokens, work);
  }
  return DealBins(*std::move(bins), num_ranks);
}

PackingWork WorkOf(const ModelConfig& model) {
  const ParameterLayout layout(model, HeadKind::kLanguageModel);
  const int64_t embedding = model.vocabulary_size * model.width;
  // The embedding is looked up, not multiplied; tied, it is the head's product.
  const int64_t multiplied = layout.num_parameters() - (model.is_tied ? 0 : embedding);
  // Per token: 2 for each parameter; 4 · H·D for each of length / 2 earlier tokens and layer.
  const auto per_pair = static_cast<double>(model.num_layers * model.num_heads * model.head_width);
  return {.pivot_tokens = static_cast<double>(multiplied) / per_pair};
}

double WorkImbalance(const PackingPlan& plan, std::span<const int64_t> lengths,
                     const PackingWork& work) {
  double sum_of_largest = 0.0, sum_of_means = 0.0;
  for (size_t m = 0; m < plan.front().size(); ++m) {
    double largest = 0.0, sum = 0.0;
    for (const MicroBatches& of_rank : plan) {
      double share = 0.0;
      for (int place : of_rank[m]) share += work.Of(lengths[place]);
      largest = std::max(largest, share);
      sum += share;
    }
    sum_of_largest += largest;
    sum_of_means += sum / static_cast<double>(plan.size());
  }
  return sum_of_means > 0.0 ? sum_of_largest / sum_of_means - 1.0 : 0.0;
}

}  // namespace routewright
