#include "trainer/rollout_service/trajectory_check.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace routewright {
namespace {

absl::Status Refused(const Trajectory& trajectory, const std::string& why) {
  return absl::InvalidArgumentError(absl::StrCat("trajectory of episode ", trajectory.episode_id(),
                                                 " from worker ", trajectory.worker_id(),
                                                 " is refused: ", why));
}

absl::Status CheckIdentity(const Trajectory& t, const EpisodeSpec& spec) {
  if (t.episode_id() != spec.episode_id())
    return Refused(t, absl::StrCat("the lease is ", spec.episode_id()));
  if (t.purpose() != spec.purpose() || t.step() != spec.step())
    return Refused(t, "purpose or step differ");
  if (t.question().id() != spec.question().id()) return Refused(t, "it answers another question");
  if (t.status() == EPISODE_STATUS_UNSPECIFIED || !EpisodeStatus_IsValid(t.status()))
    return Refused(t, "no status");
  return absl::OkStatus();
}

absl::Status CheckToken(const Trajectory& t, int i, int64_t policy_version,
                        int64_t vocabulary_size) {
  const auto at = [i] { return absl::StrCat(" at token ", i); };
  if (t.token_ids(i) >= vocabulary_size) return Refused(t, absl::StrCat("unknown token id", at()));
  const float logprob = t.logprobs(i);
  switch (t.provenance(i)) {
    case PROVENANCE_POLICY:
      if (!std::isfinite(logprob) || logprob > 0)
        return Refused(t, absl::StrCat("bad log-probability", at()));
      if (t.policy_versions(i) != policy_version) {
        return Refused(t, absl::StrCat("policy version ", t.policy_versions(i), at(), ", leased ",
                                       policy_version));
      }
      return absl::OkStatus();
    case PROVENANCE_PROMPT:
    case PROVENANCE_OBSERVATION:
      if (logprob != 0)
        return Refused(t, absl::StrCat("a log-probability that the policy did not sample", at()));
      return absl::OkStatus();
    default:
      return Refused(t, absl::StrCat("no provenance", at()));
  }
}

absl::Status CheckModelTokens(const Trajectory& t, const Action& action, const EpisodeSpec& spec) {
  const bool is_named = action.model_first_token() != action.model_end_token();
  if (is_named && (action.model_first_token() < action.first_token() ||
                   action.model_first_token() > action.model_end_token() ||
                   action.model_end_token() > action.end_token())) {
    return Refused(t, absl::StrCat("the action of round ", action.round(),
                                   " names a model outside its tokens"));
  }
  if (!action.is_trial()) return absl::OkStatus();
  const auto trial = spec.trial_models().find(action.round());
  const bool is_of_another = action.kind() == ACTION_KIND_SEARCH &&
                             trial != spec.trial_models().end() && trial->second != action.model();
  if (trial == spec.trial_models().end() || is_of_another) {
    return Refused(t, absl::StrCat("round ", action.round(), " is no trial of ", action.model()));
  }
  return absl::OkStatus();
}

absl::Status CheckActions(const Trajectory& t, const EpisodeSpec& spec) {
  for (const Action& action : t.actions()) {
    RW_RETURN_IF_ERROR(CheckModelTokens(t, action, spec));
    if (action.first_token() < 0 || action.first_token() > action.end_token() ||
        action.end_token() > t.token_ids_size()) {
      return Refused(
          t, absl::StrCat("the action of round ", action.round(), " lies outside its tokens"));
    }
    for (int i = action.first_token(); i < action.end_token(); ++i) {
      if (t.provenance(i) != PROVENANCE_POLICY) {
        return Refused(
            t, absl::StrCat("the action of round ", action.round(), " lies on tokens of others"));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckTrajectory(const Trajectory& t, const EpisodeSpec& spec,
                             int64_t vocabulary_size) {
  RW_RETURN_IF_ERROR(CheckIdentity(t, spec));
  const int length = t.token_ids_size();
  if (t.provenance_size() != length || t.logprobs_size() != length ||
      t.policy_versions_size() != length) {
    return Refused(t, "token ids, provenance, log-probabilities and versions differ in length");
  }
  for (int i = 0; i < length; ++i)
    RW_RETURN_IF_ERROR(CheckToken(t, i, spec.policy_version(), vocabulary_size));
  RW_RETURN_IF_ERROR(CheckActions(t, spec));
  const RewardComponents& components = t.components();
  if (!std::isfinite(components.format_reward())) {
    return Refused(t, "a reward component is not finite");
  }
  for (const double value : {components.em(), components.f1()}) {
    if (!(value >= 0 && value <= 1)) return Refused(t, "a score is not in [0, 1]");
  }
  if (!(t.pool_wait_ms() >= 0) || !std::isfinite(t.pool_wait_ms())) {
    return Refused(t, "the time that it waited for the pool is no time");
  }
  if (length > 0 && t.provenance(0) != PROVENANCE_PROMPT) {
    return Refused(t, "it does not begin with a prompt");
  }
  int64_t cost = 0, retried = 0;
  for (const PoolCall& call : t.pool_calls()) {
    if (call.cost_picousd() < 0) return Refused(t, "a call's cost is negative");
    if (call.retried_cost_picousd() < 0 || call.retried_cost_picousd() > call.cost_picousd()) {
      return Refused(t, "a call's retries cost less than nothing, or more than the call");
    }
    cost += call.cost_picousd();
    retried += call.retried_cost_picousd();
  }
  if (retried != components.retried_cost_picousd()) {
    return Refused(t, "the cost of its retries is not the sum of its calls'");
  }
  if (cost != components.cost_picousd()) return Refused(t, "its cost is not the sum of its calls");
  return absl::OkStatus();
}

}  // namespace routewright
