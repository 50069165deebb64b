// Five steps of learning from recorded trajectories, by several ranks or by one alone, and the
// comparison of what was learnt: what the sharding tests share. They run as several MPI ranks.
#pragma once

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/trainer/comm/run_as_ranks.h"
#include "tests/trainer/experience/recorded_trajectories.h"
#include "tests/trainer/update/tiny_model.h"
#include "trainer/comm/local_communicator.h"
#include "trainer/update/policy_update.h"

namespace routewright {

inline Communicator* world = nullptr;
constexpr int kSteps = 5;
constexpr int kTrajectories = 44;
constexpr uint64_t kSeedOfFew = 12;  // whose first trajectory is rewarded: it has an advantage
constexpr int kLongest = 60;         // tokens; no recorded trajectory is longer

constexpr ShardingConfig::Stage kStages[] = {
    ShardingConfig::STAGE_REPLICATED, ShardingConfig::STAGE_OPTIMIZER,
    ShardingConfig::STAGE_GRADIENTS, ShardingConfig::STAGE_FULL};

// What a run may differ in.
struct Variant {
  TrainerConfig::Algorithm algorithm = TrainerConfig::ALGORITHM_GRPO;
  bool shares_trunk = false;
  ShardingConfig::Stage stage = ShardingConfig::STAGE_REPLICATED;
  bool recompute = false;
  // Not packed: a micro-batch holds one trajectory, and the batch accumulation × ranks of them.
  bool is_packed = true;
  int accumulation = 1;    // micro-batches of a rank
  int tokens_at_once = 0;  // 0: as many as give that accumulation
  bool within_host = false;
  std::string host = {};  // this rank's
  ShardingConfig::Offload offload = ShardingConfig::OFFLOAD_NONE;
  bool is_prefetched = true;
  int mini_batches = 1;
  double importance_cap = 0.0;
  at::ScalarType compute_type = at::kFloat;
  Architecture architecture = Architecture::kLlama;
  bool is_tied = true;
  int most_trajectories = kTrajectories;  // of a batch
};

inline std::string Name(const Variant& variant) {
  const auto if_set = [](bool is_set, const char* name) { return is_set ? name : ""; };
  return absl::StrCat(
      TrainerConfig::Algorithm_Name(variant.algorithm), if_set(variant.shares_trunk, " one trunk"),
      " ", ShardingConfig::Stage_Name(variant.stage), if_set(variant.recompute, " recompute"),
      variant.is_packed ? " packed" : " unpacked", " accumulation=", variant.accumulation,
      if_set(variant.tokens_at_once > 0, " by tokens"), if_set(variant.within_host, " within_host"),
      " offload=", variant.offload, if_set(!variant.is_prefetched, " no prefetch"),
      " mini_batches=", variant.mini_batches, " cap=", variant.importance_cap,
      if_set(variant.compute_type == at::kBFloat16, " bf16"), " ",
      ArchitectureName(variant.architecture), if_set(!variant.is_tied, " untied"), " of ",
      variant.most_trajectories);
}

// The metrics are one a step, the same on every rank.
struct Learnt {
  std::vector<double> losses = std::vector<double>(kSteps);
  std::vector<double> value_losses = std::vector<double>(kSteps);
  std::vector<double> norms = std::vector<double>(kSteps);
  std::vector<double> critic_norms = std::vector<double>(kSteps);
  double micro_batches = 0.0;                    // of a rank, in the last step
  std::shared_ptr<const PolicyWeights> weights;  // rank 0's

  std::vector<std::vector<double>*> Metrics() {
    return {&losses, &value_losses, &norms, &critic_norms};
  }
};

inline ModelConfig Model(const Variant& variant) {
  ModelConfig model = TinyModelConfig();
  model.SetArchitecture(variant.architecture);
  model.is_tied = variant.is_tied;
  return model;
}

// The second step has one trajectory and the fourth three: fewer than ranks, where those are more.
inline Batch BatchOfStep(const Variant& variant, int step) {
  const int64_t vocabulary_size = Model(variant).vocabulary_size;
  const uint64_t seed = step % 2 == 1 ? kSeedOfFew : 0;
  int count = variant.is_packed ? variant.most_trajectories : variant.accumulation * world->size();
  if (step % 2 == 1) count = std::min(count, step == 1 ? 1 : 3);
  if (variant.is_packed) return RecordBatch(count, seed, vocabulary_size);
  // Of more than half of kLongest each, no two of which fit a micro-batch of kLongest.
  Batch batch;
  for (int i = 0; batch.num_trajectories() < count; ++i) {
    Trajectory trajectory = RecordTrajectory(absl::StrCat("long/", i), seed, vocabulary_size, 1);
    if (2 * trajectory.token_ids_size() <= kLongest) continue;
    AppendRecorded(std::move(trajectory), seed, vocabulary_size, batch);
  }
  return batch;
}

// The largest budget that gives each of `ranks` ranks the variant's number of micro-batches.
inline int TokenBudget(const Variant& variant, int ranks) {
  if (variant.tokens_at_once > 0) return variant.tokens_at_once;
  if (!variant.is_packed) return kLongest;
  const Batch batch = BatchOfStep(variant, /*step=*/0);
  std::vector<int64_t> lengths;
  for (int64_t b = 0; b < batch.num_trajectories(); ++b) lengths.push_back(batch.length(b));
  for (int budget = static_cast<int>(batch.offsets.back()) + 1; budget >= kLongest; --budget) {
    const PackingPlan plan = PackTrajectories(lengths, ranks, budget).value();
    if (static_cast<int>(plan[0].size()) == variant.accumulation) return budget;
  }
  return kLongest;
}

inline UpdateOptions MakeUpdateOptions(const Variant& variant, int ranks) {
  UpdateOptions options;
  options.model = Model(variant);
  options.compute_type = variant.compute_type;
  TrainerConfig& config = options.config;
  config.set_algorithm(variant.algorithm);
  config.set_steps(kSteps);
  config.set_recompute_activations(variant.recompute);
  config.set_mini_batches(variant.mini_batches);
  config.mutable_sharding()->set_stage(variant.stage);
  config.mutable_sharding()->set_within_host(variant.within_host);
  config.mutable_sharding()->set_offload(variant.offload);
  config.mutable_sharding()->set_prefetch(variant.is_prefetched);
  config.mutable_optimizer()->set_learning_rate(1e-3);
  config.mutable_critic()->set_learning_rate(1e-3);
  config.mutable_critic()->set_shares_trunk(variant.shares_trunk);
  config.mutable_loss()->set_entropy_coefficient(0.01);
  config.mutable_loss()->set_kl_coefficient(0.05);
  config.mutable_loss()->set_importance_cap(variant.importance_cap);
  config.set_max_micro_batch_tokens(TokenBudget(variant, ranks));
  return options;
}

// `spoil` may alter every batch before it is learnt from.
inline Learnt Learn(const Variant& variant, Communicator* communicator,
                    const std::function<void(Batch&)>& spoil = {}) {
  UpdateOptions options = MakeUpdateOptions(variant, communicator->size());
  const auto groups =
      RankGroups::Make(communicator, options.config.sharding(), variant.host).value();
  options.groups = groups.get();
  const auto update = std::make_unique<PolicyUpdate>(options);
  const TensorSource initial = TensorsOf(TinyModelWeights(options.model, 1));
  const bool is_root = communicator->rank() == 0;  // the others take the weights over
  EXPECT_TRUE(update->Initialize(is_root ? &initial : nullptr).ok());
  Learnt learnt;
  for (int step = 0; step < kSteps; ++step) {
    Batch batch = BatchOfStep(variant, step);
    if (spoil) spoil(batch);
    const UpdateMetrics metrics = update->Run(batch, step, /*kl_coefficient=*/0.05).value();
    learnt.losses[step] = metrics.policy.loss;
    learnt.value_losses[step] = metrics.value_loss;
    learnt.norms[step] = metrics.gradient_norm;
    learnt.critic_norms[step] = metrics.critic_gradient_norm;
    learnt.micro_batches = metrics.micro_batches_per_rank;
  }
  learnt.weights = update->ExportPolicy().value();
  return learnt;
}

// Rank 0 learns, as the only rank of a world of its own, plainly: replicated, in one
// micro-batch, and with all activations kept. The others are told its metrics. What was learnt
// is kept for the next test that asks.
inline Learnt LearnAlone(Variant variant) {
  const Variant plain;
  variant.stage = plain.stage;
  variant.recompute = plain.recompute;
  variant.within_host = plain.within_host;
  variant.offload = plain.offload;
  variant.is_prefetched = plain.is_prefetched;
  if (variant.is_packed) variant.accumulation = plain.accumulation;
  variant.tokens_at_once = 1 << 20;
  static std::map<std::string, Learnt> known;
  const auto [place, is_new] = known.emplace(Name(variant), Learnt());
  Learnt& learnt = place->second;
  if (!is_new) return learnt;
  const auto alone = NewLocalCommunicator();
  if (world->rank() == 0) learnt = Learn(variant, alone.get());
  for (std::vector<double>* metrics : learnt.Metrics()) {
    const CommBuffer buffer{
        .data = metrics->data(), .num_elements = kSteps, .type = CommType::kFloat64};
    EXPECT_TRUE(world->Broadcast("learnt alone", buffer, /*root=*/0)->Wait().ok());
  }
  return learnt;
}

inline double Distance(const PolicyWeights& a, const PolicyWeights& b) {
  double sum = 0.0;
  for (const auto& [name, tensor] : a.tensors()) {
    const std::vector<float>& other = b.Find(name)->values;
    for (size_t i = 0; i < other.size(); ++i) {
      const double difference = static_cast<double>(tensor.values[i]) - other[i];
      sum += difference * difference;
    }
  }
  return std::sqrt(sum);
}

// A loss is a mean of terms of both signs and near 1 in size, each of which f32 knows to 1e-7:
// where they cancel, the error is taken relative to a hundredth.
inline double WorstRelativeError(const std::vector<double>& actual,
                                 const std::vector<double>& expected) {
  double worst = 0.0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const double error = std::abs(actual[i] - expected[i]) / std::max(std::abs(expected[i]), 1e-2);
    if (!std::isfinite(error)) return INFINITY;
    worst = std::max(worst, error);
  }
  return worst;
}

// Relative. How far apart two may be that should be the same, or are.
struct Difference {
  double loss = 1e-5;     // policy's and values', of any step
  double norm = 1e-5;     // of the policy's and the critic's gradient, of any step
  double weights = 1e-2;  // ‖difference‖ / ‖update‖; known to rank 0, 0 elsewhere

  bool IsWithin(const Difference& limit) const {
    return loss <= limit.loss && norm <= limit.norm && weights <= limit.weights;
  }
};

// Of bf16 compute, where other micro-batches round other sums (measured: 2e-2, 4e-2, 5e-2).
constexpr Difference kBfloatLimit = {.loss = 5e-2, .norm = 1e-1, .weights = 1e-1};

inline Difference Compare(const Learnt& a, const Learnt& b, const Variant& variant) {
  Difference difference{.loss = std::max(WorstRelativeError(a.losses, b.losses),
                                         WorstRelativeError(a.value_losses, b.value_losses)),
                        .norm = std::max(WorstRelativeError(a.norms, b.norms),
                                         WorstRelativeError(a.critic_norms, b.critic_norms)),
                        .weights = 0.0};
  if (a.weights != nullptr) {
    const auto start = TinyModelWeights(Model(variant), 1);
    difference.weights = Distance(*a.weights, *b.weights) / Distance(*b.weights, *start);
  }
  return difference;
}

inline void ExpectSame(const Learnt& actual, const Learnt& expected, const Variant& variant,
                       const Difference& limit = {}) {
  const Difference difference = Compare(actual, expected, variant);
  EXPECT_LE(difference.loss, limit.loss) << Name(variant);
  EXPECT_LE(difference.norm, limit.norm) << Name(variant);
  EXPECT_LE(difference.weights, limit.weights) << Name(variant);
  if (world->rank() == 0) {
    std::printf("%d ranks, %s: losses within %.0e, norms %.0e, weights %.0e of the update\n",
                world->size(), Name(variant).c_str(), difference.loss, difference.norm,
                difference.weights);
  }
}

// What ExpectSame would have noticed.
inline void ExpectDifferent(const Learnt& actual, const Learnt& expected, const Variant& variant,
                            const Difference& limit = {}) {
  if (world->rank() != 0) return;  // it alone has all that is compared
  EXPECT_FALSE(Compare(actual, expected, variant).IsWithin(limit)) << Name(variant);
}

inline bool HasSameBits(const Learnt& a, const Learnt& b) {
  if (a.losses != b.losses || a.value_losses != b.value_losses) return false;
  if (a.norms != b.norms || a.critic_norms != b.critic_norms) return false;
  if (a.weights == nullptr) return true;
  for (const auto& [name, tensor] : a.weights->tensors()) {
    if (tensor.values != b.weights->Find(name)->values) return false;
  }
  return true;
}

// `main` of a test that runs as several ranks.
inline int RunTestsOnRanks(int argc, char** argv) {
  at::set_num_threads(1);
  return RunAsRanks(argc, argv, world);
}

}  // namespace routewright
