#include "rollout_workers/evaluation/evaluation_report.h"

#include <algorithm>
#include <cmath>

#include "common/check.h"
#include "common/money/money.h"
#include "common/random.h"

namespace routewright {
namespace {

constexpr double kQuestionsPerPrice = 1000;
constexpr double kTail = 0.025;  // on each side of a 95 % interval

struct Means {
  double em = 0, f1 = 0, cost = 0, calls = 0;

  void Add(const EpisodeScore& score, double sign = 1) {
    em += sign * score.em;
    f1 += sign * score.f1;
    cost += sign * PicousdToUsd(score.cost_picousd) * kQuestionsPerPrice;
    for (int count : score.calls) calls += sign * count;
  }
  void Divide(double count) {
    for (double* sum : {&em, &f1, &cost, &calls}) *sum /= count;
  }
};

Interval PercentileInterval(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto at = [&](double quantile) {
    const double place = quantile * static_cast<double>(values.size() - 1);
    const size_t below = static_cast<size_t>(place);
    const size_t above = std::min(below + 1, values.size() - 1);
    return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
  };
  return {at(kTail), at(1 - kTail)};
}

struct Resampled {
  Interval em, f1, cost, calls;
};

// Intervals of the means over `count` questions, of which add(n, means) adds the n-th: they are drawn
// with replacement, `resamples` times.   Source: Efron 1979, percentile method.
template <typename AddQuestion>
Resampled Bootstrap(size_t count, int resamples, const AddQuestion& add) {
  std::vector<double> em, f1, cost, calls;
  const uint64_t key = StreamKey(0, "bootstrap", count);
  uint64_t counter = 0;
  for (int i = 0; i < resamples; ++i) {
    Means means;
    for (size_t n = 0; n < count; ++n) add(RandomBits(key, counter++) % count, means);
    means.Divide(static_cast<double>(count));
    em.push_back(means.em);
    f1.push_back(means.f1);
    cost.push_back(means.cost);
    calls.push_back(means.calls);
  }
  return {.em = PercentileInterval(std::move(em)),
          .f1 = PercentileInterval(std::move(f1)),
          .cost = PercentileInterval(std::move(cost)),
          .calls = PercentileInterval(std::move(calls))};
}

void SetShares(const std::vector<const EpisodeScore*>& scores, std::span<const std::string> models,
               ArmSummary& summary) {
  std::vector<double> counts(models.size(), 0);
  double total = 0;
  for (const EpisodeScore* score : scores) {
    for (size_t i = 0; i < models.size(); ++i) counts[i] += score->calls[i];
  }
  for (double count : counts) total += count;
  for (size_t i = 0; i < models.size(); ++i) {
    const double share = total > 0 ? counts[i] / total : 0;
    summary.share[models[i]] = share;
    if (share > 0) summary.share_entropy -= share * std::log(share);
  }
}

// Over the questions at `places`.
ArmSummary SummariseSome(const ArmScores& arm, const std::vector<size_t>& places,
                         std::span<const Question> questions, std::span<const std::string> models,
                         int resamples) {
  ArmSummary summary;
  std::vector<const EpisodeScore*> scores;
  Means means;
  double two_hop_em = 0;
  int num_two_hop = 0;
  for (size_t place : places) {
    if (!arm.episodes[place].has_value()) continue;
    const EpisodeScore& score = *arm.episodes[place];
    scores.push_back(&score);
    means.Add(score);
    if (questions[place].hops() < 2) continue;
    two_hop_em += score.em;
    ++num_two_hop;
  }
  summary.num_questions = static_cast<int>(scores.size());
  summary.num_left_out = static_cast<int>(places.size() - scores.size());
  SetShares(scores, models, summary);
  if (scores.empty()) return summary;
  means.Divide(static_cast<double>(scores.size()));
  summary.em = means.em;
  summary.f1 = means.f1;
  summary.cost_usd_per_1k = means.cost;
  summary.calls_per_question = means.calls;
  if (num_two_hop > 0) summary.em_two_hop = two_hop_em / num_two_hop;
  const Resampled intervals =
      Bootstrap(scores.size(), resamples, [&](size_t n, Means& sum) { sum.Add(*scores[n]); });
  summary.em_interval = intervals.em;
  summary.f1_interval = intervals.f1;
  summary.cost_interval = intervals.cost;
  summary.calls_interval = intervals.calls;
  return summary;
}

}  // namespace

EpisodeScore ScoreOf(const Trajectory& trajectory, std::span<const std::string> models) {
  EpisodeScore score;
  score.em = trajectory.components().em();
  score.f1 = trajectory.components().f1();
  score.cost_picousd = trajectory.components().cost_picousd();
  score.calls.assign(models.size(), 0);
  for (const PoolCall& call : trajectory.pool_calls()) {
    const auto model = std::find(models.begin(), models.end(), call.model());
    RW_CHECK(model != models.end()) << "call " << call.call_id() << " of model " << call.model();
    ++score.calls[static_cast<size_t>(model - models.begin())];
  }
  return score;
}

ArmScores OracleOf(std::span<const ArmScores> forced) {
  ArmScores oracle;
  oracle.name = "oracle";
  if (forced.empty()) return oracle;
  oracle.episodes.resize(forced.front().episodes.size());
  for (size_t question = 0; question < oracle.episodes.size(); ++question) {
    std::optional<EpisodeScore>& best = oracle.episodes[question];
    for (const ArmScores& arm : forced) {
      const std::optional<EpisodeScore>& score = arm.episodes[question];
      if (!score.has_value()) continue;
      const bool is_better = !best.has_value() || score->em > best->em ||
                             (score->em == best->em && score->cost_picousd < best->cost_picousd);
      if (is_better) best = score;
    }
  }
  return oracle;
}

std::optional<ArmDifference> DifferenceOf(const ArmScores& trained, const ArmScores& arm,
                                          int bootstrap_resamples) {
  RW_CHECK(arm.episodes.size() == trained.episodes.size()) << arm.name << ": other questions";
  std::vector<size_t> both;
  for (size_t n = 0; n < arm.episodes.size(); ++n) {
    if (trained.episodes[n].has_value() && arm.episodes[n].has_value()) both.push_back(n);
  }
  if (both.empty()) return std::nullopt;
  const auto add = [&](size_t n, Means& means) {
    means.Add(*trained.episodes[both[n]]);
    means.Add(*arm.episodes[both[n]], -1);
  };
  Means means;
  for (size_t n = 0; n < both.size(); ++n) add(n, means);
  means.Divide(static_cast<double>(both.size()));
  const Resampled intervals = Bootstrap(both.size(), bootstrap_resamples, add);
  return ArmDifference{.num_questions = static_cast<int>(both.size()),
                       .em = means.em,
                       .f1 = means.f1,
                       .cost_usd_per_1k = means.cost,
                       .em_interval = intervals.em,
                       .f1_interval = intervals.f1,
                       .cost_interval = intervals.cost};
}

ArmReport Summarise(const ArmScores& arm, std::span<const Question> questions,
                    std::span<const std::string> models, int bootstrap_resamples) {
  RW_CHECK(arm.episodes.size() == questions.size())
      << arm.name << ": " << arm.episodes.size() << " episodes";
  std::vector<size_t> all;
  std::map<std::string, std::vector<size_t>> by_source;
  for (size_t place = 0; place < questions.size(); ++place) {
    all.push_back(place);
    by_source[questions[place].data_source()].push_back(place);
  }
  ArmReport report;
  report.name = arm.name;
  report.all = SummariseSome(arm, all, questions, models, bootstrap_resamples);
  for (const auto& [source, places] : by_source) {
    ArmSummary summary = SummariseSome(arm, places, questions, models, bootstrap_resamples);
    if (summary.num_questions > 0) report.by_source[source] = std::move(summary);
  }
  return report;
}

}  // namespace routewright
