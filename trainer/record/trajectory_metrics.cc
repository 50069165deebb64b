#include "trainer/record/trajectory_metrics.h"

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/money/money.h"
#include "common/trajectory_facts.h"

namespace routewright {
namespace {

// A dataset can name a source a row: metrics of each would say nothing, and fill metrics.jsonl.
constexpr size_t kMaxSources = 16;

// Sums over the episodes of one purpose.
struct Sums {
  double scored = 0, reward = 0, em = 0, f1 = 0, well_formed = 0, cost_reward = 0, rounds = 0;
  double calls_with_verdict = 0;  // of episodes that have one
  double invalid_actions = 0, policy_tokens = 0, tokens = 0, calls = 0, failed_calls = 0;
  double latency_ms = 0, cost_picousd = 0, two_hop = 0, two_hop_em = 0;
  double trials = 0, chosen_calls = 0;  // calls whose model was not, and was, the policy's choice
  std::map<EpisodeStatus, double> statuses;
  std::map<std::string, double> chosen_calls_of_model;
  struct Source {
    double scored = 0, em = 0, f1 = 0;
  };
  std::map<std::string, Source> sources;
};

void AddCalls(const Trajectory& trajectory, Sums& sums) {
  for (const PoolCall& call : trajectory.pool_calls()) {
    sums.calls += 1;
    if (IsTrial(trajectory, call)) {
      sums.trials += 1;
    } else {
      sums.chosen_calls += 1;
      sums.chosen_calls_of_model[call.model()] += 1;
    }
    sums.latency_ms += call.latency_ms();
    sums.failed_calls += !IsDelivered(call.outcome());
  }
}

void AddVerdict(const Trajectory& trajectory, Sums& sums) {
  const RewardComponents& components = trajectory.components();
  sums.scored += 1;
  sums.reward += trajectory.reward();
  sums.em += components.em();
  sums.f1 += components.f1();
  sums.well_formed += components.format_reward() == 0.0;
  sums.cost_reward += trajectory.cost_reward();
  sums.cost_picousd += static_cast<double>(components.cost_picousd());
  sums.rounds += trajectory.actions_size();
  sums.calls_with_verdict += trajectory.pool_calls_size();
  sums.invalid_actions += trajectory.invalid_actions();
  sums.tokens += trajectory.token_ids_size();
  for (int provenance : trajectory.provenance()) {
    sums.policy_tokens += provenance == PROVENANCE_POLICY;
  }
  Sums::Source& source = sums.sources[trajectory.question().data_source()];
  source.scored += 1;
  source.em += components.em();
  source.f1 += components.f1();
  if (trajectory.question().hops() >= 2) {
    sums.two_hop += 1;
    sums.two_hop_em += components.em();
  }
}

Sums SumUp(std::span<const Trajectory> trajectories, Purpose purpose) {
  Sums sums;
  for (const Trajectory& trajectory : trajectories) {
    if (trajectory.purpose() != purpose) continue;
    sums.statuses[trajectory.status()] += 1;
    AddCalls(trajectory, sums);
    if (HasVerdict(trajectory)) AddVerdict(trajectory, sums);
  }
  return sums;
}

// What training and evaluation report alike.
Metrics CommonMetrics(const std::string& noun, const Sums& sums) {
  const double n = std::max(1.0, sums.scored);
  Metrics metrics;
  const auto set = [&](const char* measure, double value) {
    metrics.Set(absl::StrCat(noun, "/", measure), value);
  };
  set("count", sums.scored);
  set("reward_mean", sums.reward / n);
  set("em", sums.em / n);
  set("f1", sums.f1 / n);
  if (sums.two_hop > 0) set("em_two_hop", sums.two_hop_em / sums.two_hop);
  set("well_formed", sums.well_formed / n);
  set("cost_usd_per_1k", 1000.0 * PicousdToUsd(sums.cost_picousd) / n);
  set("calls", sums.calls_with_verdict / n);
  set("rounds", sums.rounds / n);
  if (sums.sources.size() < 2 || sums.sources.size() > kMaxSources) return metrics;
  for (const auto& [name, source] : sums.sources) {
    metrics.Set(absl::StrCat(noun, "/em:", name), source.em / source.scored);
    metrics.Set(absl::StrCat(noun, "/f1:", name), source.f1 / source.scored);
  }
  return metrics;
}

Metrics TrainingMetrics(const Sums& sums) {
  const double n = std::max(1.0, sums.scored);
  const auto count = [&](EpisodeStatus status) {
    const auto found = sums.statuses.find(status);
    return found == sums.statuses.end() ? 0.0 : found->second;
  };
  Metrics metrics = CommonMetrics("episode", sums);
  metrics.Set("episode/cost_reward_mean", sums.cost_reward / n);
  metrics.Set("episode/invalid_actions", sums.invalid_actions / n);
  metrics.Set("episode/policy_tokens", sums.policy_tokens / n);
  metrics.Set("episode/tokens", sums.tokens / n);
  metrics.Set("episode/answered", count(EPISODE_STATUS_ANSWERED));
  metrics.Set("episode/no_answer", count(EPISODE_STATUS_NO_ANSWER));
  metrics.Set("episode/overflow", count(EPISODE_STATUS_OVERFLOW));
  metrics.Set("episode/pool_failed", count(EPISODE_STATUS_POOL_FAILED));
  metrics.Set("episode/cancelled", count(EPISODE_STATUS_CANCELLED));
  return metrics;
}

Metrics PoolMetrics(const PoolConfig& pool, const Sums& sums, const std::string& noun) {
  Metrics metrics;
  std::vector<double> shares;
  for (const PoolModelConfig& model : pool.models()) {
    const auto found = sums.chosen_calls_of_model.find(model.name());
    const double calls = found == sums.chosen_calls_of_model.end() ? 0.0 : found->second;
    shares.push_back(sums.chosen_calls > 0 ? calls / sums.chosen_calls : 0.0);
    metrics.Set(absl::StrCat(noun, "/share:", model.name()), shares.back());
  }
  metrics.Set(noun + "/share_entropy_nats", ShareEntropy(shares));
  return metrics;
}

}  // namespace

std::string FirstPoolError(std::span<const Trajectory> trajectories) {
  for (const Trajectory& trajectory : trajectories) {
    for (const PoolCall& call : trajectory.pool_calls()) {
      if (!call.error().empty()) return absl::StrCat(call.model(), ": ", call.error());
    }
  }
  return "no pool call reported an error";
}

double ShareEntropy(std::span<const double> shares) {
  double entropy = 0.0;
  for (double share : shares) {
    if (share > 0.0) entropy -= share * std::log(share);
  }
  return entropy;
}

Metrics TrajectoryMetrics(const PoolConfig& pool, std::span<const Trajectory> trajectories) {
  const Sums training = SumUp(trajectories, PURPOSE_TRAIN);
  Metrics metrics = TrainingMetrics(training);
  metrics.Append(PoolMetrics(pool, training, "pool"));
  metrics.Set("pool/calls", training.calls);
  metrics.Set("pool/trials", training.trials);
  metrics.Set("pool/failed_calls", training.failed_calls);
  metrics.Set("pool/latency_mean_ms", training.latency_ms / std::max(1.0, training.calls));
  const Sums evaluation = SumUp(trajectories, PURPOSE_EVAL);
  if (!evaluation.statuses.empty()) {
    metrics.Append(CommonMetrics("evaluation", evaluation));
    metrics.Append(PoolMetrics(pool, evaluation, "evaluation"));
  }
  return metrics;
}

}  // namespace routewright
