#include "trainer/experience/trial_plan.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "common/trajectory_facts.h"

namespace routewright {
namespace {

// Where a trial would have named the model: also in a call that came to nothing.
bool BeganACall(const Action& action) {
  switch (action.invalid_reason()) {
    case INVALID_REASON_UNKNOWN_MODEL:
    case INVALID_REASON_EMPTY_QUERY:
    case INVALID_REASON_PLACEHOLDER:
    case INVALID_REASON_NO_COLON:
      return true;
    default:
      return action.kind() == ACTION_KIND_SEARCH;
  }
}

}  // namespace

TrialPlan::TrialPlan(const RunConfig& config)
    : share_(config.trainer().routing().trial_share()),
      seed_(config.run().seed()),
      max_rounds_(config.episode().max_rounds()),
      order_(static_cast<size_t>(std::max(1, config.pool().models_size())), config.run().seed(),
             "models on trial") {
  for (const PoolModelConfig& model : config.pool().models()) models_.push_back(model.name());
}

void TrialPlan::SetTrials(int64_t num_episodes, int64_t place, EpisodeSpec& spec) {
  if (share_ == 0.0 || max_rounds_ == 0) return;
  auto& trials = *spec.mutable_trial_models();
  // How many of the first n episodes of the run have had a trial: so they are spread evenly.
  const auto num_dealt = [&](int64_t n) {
    return static_cast<int64_t>(std::floor(static_cast<double>(n) * share_));
  };
  const int64_t so_far = spec.step() * num_episodes + place;
  if (num_dealt(so_far + 1) > num_dealt(so_far)) trials[0] = models_[order_.At(num_dealt(so_far))];
  const uint64_t key = StreamKey(seed_, absl::StrCat(spec.episode_id(), "/trials"), 0);
  for (int round = 1; round < max_rounds_; ++round) {
    if (RandomUniform(key, 2 * round) >= share_) continue;
    trials[round] = models_[RandomBits(key, 2 * round + 1) % models_.size()];
  }
}

double TrialWeight(const RunConfig& config, const Trajectory& trajectory) {
  const double trial_probability =
      config.trainer().routing().trial_share() / std::max(1, config.pool().models_size());
  double weight = 1.0;
  for (const Action& action : trajectory.actions()) {
    if (!action.is_trial()) continue;
    double logprob = 0.0;
    for (int t = action.model_first_token(); t < action.model_end_token(); ++t) {
      logprob += trajectory.logprobs(t);
    }
    weight *= std::min(1.0, std::exp(logprob) / trial_probability);
  }
  return weight;
}

double TrialFreeWeight(const RunConfig& config, const Trajectory& trajectory) {
  if (HasTrial(trajectory)) return 0.0;
  int calls = 0;
  for (const Action& action : trajectory.actions()) {
    calls += static_cast<int>(BeganACall(action));
  }
  return std::pow(1.0 - config.trainer().routing().trial_share(), -calls);
}

}  // namespace routewright
