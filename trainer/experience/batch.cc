#include "trainer/experience/batch.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/trajectory_facts.h"

namespace routewright {
namespace {

absl::Status Refuse(const Trajectory& trajectory, const std::string& what) {
  return absl::InvalidArgumentError(
      absl::StrCat("trajectory of episode ", trajectory.episode_id(), ": ", what));
}

absl::Status CheckLengths(const Trajectory& trajectory, bool is_recorded) {
  const int n = trajectory.token_ids_size();
  const auto fits = [&](int size) { return size == n || (is_recorded && size == 0); };
  if (trajectory.provenance_size() == n && fits(trajectory.logprobs_size()) &&
      fits(trajectory.policy_versions_size())) {
    return absl::OkStatus();
  }
  return Refuse(
      trajectory,
      absl::StrCat(n, " token ids, ", trajectory.provenance_size(), " provenances, ",
                   trajectory.logprobs_size(), " log-probabilities and ",
                   trajectory.policy_versions_size(), " policy versions must be equally many"));
}

absl::Status CheckSampledToken(const Trajectory& trajectory, int t, const TrajectoryRules& rules) {
  if (t == 0)
    return Refuse(trajectory, "its first token cannot be the policy's; the prompt is missing");
  if (rules.is_recorded) return absl::OkStatus();
  const float logprob = trajectory.logprobs(t);
  if (!std::isfinite(logprob) || logprob > 0.0f) {
    return Refuse(trajectory, absl::StrCat("token ", t, " has log-probability ", logprob,
                                           "; it must be finite and at most 0"));
  }
  const int64_t version = trajectory.policy_versions(t);
  if (version < rules.min_policy_version || version > rules.max_policy_version) {
    return Refuse(trajectory,
                  absl::StrCat("token ", t, " was sampled by policy version ", version, "; wanted ",
                               rules.min_policy_version, " to ", rules.max_policy_version));
  }
  return absl::OkStatus();
}

absl::Status CheckLearnable(const Trajectory& trajectory, const TrajectoryRules& rules) {
  RW_RETURN_IF_ERROR(CheckLengths(trajectory, rules.is_recorded));
  if (trajectory.token_ids_size() > rules.max_tokens) {
    return Refuse(trajectory, absl::StrCat(trajectory.token_ids_size(), " tokens, more than the ",
                                           rules.max_tokens, " that can be learnt from at once"));
  }
  int num_sampled = 0;
  for (int t = 0; t < trajectory.token_ids_size(); ++t) {
    if (trajectory.token_ids(t) >= rules.vocabulary_size) {
      return Refuse(trajectory, absl::StrCat("token ", t, " has id ", trajectory.token_ids(t),
                                             "; the vocabulary has ", rules.vocabulary_size));
    }
    if (trajectory.provenance(t) != PROVENANCE_POLICY) continue;
    RW_RETURN_IF_ERROR(CheckSampledToken(trajectory, t, rules));
    ++num_sampled;
  }
  return num_sampled > 0 ? absl::OkStatus() : Refuse(trajectory, "no token is the policy's");
}

// The arrays of a batch, each named once for all that goes through them: [N], [B], and all of them.
constexpr auto kOfScoredTokens =
    std::make_tuple(&Batch::scored, &Batch::sampler_logprobs, &Batch::names_model);
constexpr auto kOfTrajectories =
    std::make_tuple(&Batch::rewards, &Batch::score_rewards, &Batch::groups, &Batch::is_masked,
                    &Batch::is_charged, &Batch::trial_weights);
constexpr auto kAll =
    std::tuple_cat(std::make_tuple(&Batch::token_ids, &Batch::offsets, &Batch::scored_offsets),
                   kOfScoredTokens, kOfTrajectories);

template <typename Arrays, typename Visit>
void ForEach(const Arrays& arrays, const Visit& visit) {
  std::apply([&](auto... array) { (visit(array), ...); }, arrays);
}

// [T] Batch::names_model of each token.
std::vector<uint8_t> ModelTokens(const Trajectory& trajectory) {
  std::vector<uint8_t> names_model(trajectory.token_ids_size(), 0);
  for (const Action& action : trajectory.actions()) {
    const int end = std::min(action.model_end_token(), trajectory.token_ids_size());
    const uint8_t kind = action.is_trial() ? kNamesTrial : kNamesModel;
    for (int t = std::max(0, action.model_first_token()); t < end; ++t) names_model[t] = kind;
  }
  return names_model;
}

template <typename T>
void AppendArray(const std::vector<T>& values, std::string& bytes) {
  const uint64_t count = values.size();
  bytes.append(reinterpret_cast<const char*>(&count), sizeof(count));
  bytes.append(reinterpret_cast<const char*>(values.data()), count * sizeof(T));
}

// Takes one array off the front of `bytes`; false if it is cut short.
template <typename T>
bool TakeArray(std::string_view& bytes, std::vector<T>& values) {
  uint64_t count = 0;
  if (bytes.size() < sizeof(count)) return false;
  std::memcpy(&count, bytes.data(), sizeof(count));
  bytes.remove_prefix(sizeof(count));
  if (count > bytes.size() / sizeof(T)) return false;
  values.resize(count);
  std::memcpy(values.data(), bytes.data(), count * sizeof(T));
  bytes.remove_prefix(count * sizeof(T));
  return true;
}

}  // namespace

absl::Status AppendTrajectory(const Trajectory& trajectory, const TrajectoryRules& rules,
                              int64_t group, Batch& batch) {
  RW_RETURN_IF_ERROR(CheckLearnable(trajectory, rules));
  const bool has_logprobs = trajectory.logprobs_size() > 0;
  const std::vector<uint8_t> names_model = ModelTokens(trajectory);
  for (int t = 0; t < trajectory.token_ids_size(); ++t) {
    batch.token_ids.push_back(trajectory.token_ids(t));
    if (trajectory.provenance(t) != PROVENANCE_POLICY) continue;
    batch.scored.push_back(t);
    batch.sampler_logprobs.push_back(has_logprobs ? trajectory.logprobs(t) : 0.0f);
    batch.names_model.push_back(names_model[t]);
  }
  batch.offsets.push_back(batch.num_tokens());
  batch.scored_offsets.push_back(batch.num_scored());
  batch.rewards.push_back(trajectory.reward());
  batch.score_rewards.push_back(trajectory.score_reward());
  batch.groups.push_back(group);
  batch.is_masked.push_back(0);
  batch.is_charged.push_back(1);
  batch.trial_weights.push_back(1.0);
  return absl::OkStatus();
}

void AppendFrom(const Batch& from, int64_t b, Batch& batch) {
  const auto append = [&](auto array, int64_t begin, int64_t end) {
    const auto& values = from.*array;
    (batch.*array).insert((batch.*array).end(), values.begin() + begin, values.begin() + end);
  };
  append(&Batch::token_ids, from.offsets[b], from.offsets[b + 1]);
  ForEach(kOfScoredTokens,
          [&](auto array) { append(array, from.scored_offsets[b], from.scored_offsets[b + 1]); });
  ForEach(kOfTrajectories, [&](auto array) { append(array, b, b + 1); });
  batch.offsets.push_back(batch.num_tokens());
  batch.scored_offsets.push_back(batch.num_scored());
}

std::string SerializeBatch(const Batch& batch) {
  std::string bytes;
  ForEach(kAll, [&](auto array) { AppendArray(batch.*array, bytes); });
  return bytes;
}

absl::StatusOr<Batch> ParseBatch(std::string_view bytes) {
  Batch batch;
  bool is_whole = true;
  ForEach(kAll, [&](auto array) { is_whole = is_whole && TakeArray(bytes, batch.*array); });
  if (!is_whole || !bytes.empty()) {
    return absl::DataLossError("a batch from rank 0 arrived with missing or surplus bytes");
  }
  return batch;
}

MicroBatch BuildMicroBatch(const Batch& batch, std::span<const int> trajectories) {
  MicroBatch micro;
  micro.offsets.push_back(0);
  micro.scored_offsets.push_back(0);
  for (int b : trajectories) {
    const int64_t first = static_cast<int64_t>(micro.token_ids.size());
    const uint32_t* ids = batch.token_ids.data() + batch.offsets[b];
    for (int64_t t = 0; t < batch.length(b); ++t) {
      micro.token_ids.push_back(ids[t]);
      micro.positions.push_back(t);
    }
    for (int64_t n = batch.scored_offsets[b]; n < batch.scored_offsets[b + 1]; ++n) {
      micro.rows.push_back(first + batch.scored[n] - 1);
      micro.targets.push_back(ids[batch.scored[n]]);
      micro.scored.push_back(n);
    }
    micro.offsets.push_back(static_cast<int64_t>(micro.token_ids.size()));
    micro.scored_offsets.push_back(static_cast<int64_t>(micro.scored.size()));
  }
  return micro;
}

}  // namespace routewright
