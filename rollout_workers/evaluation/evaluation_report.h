// From scored episodes to the metrics of an evaluation: exact match, F1, cost, calls and model
// shares of each way to route (an arm), in all and per data source, with 95 % bootstrap intervals;
// a table for people, JSON for programs. Pure and deterministic; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "proto/episode.pb.h"

namespace routewright {

// What one episode of one arm came to.
struct EpisodeScore {
  double em = 0, f1 = 0;
  int64_t cost_picousd = 0;
  std::vector<int> calls;  // per model, as the pool's list orders them
};
EpisodeScore ScoreOf(const Trajectory& trajectory, std::span<const std::string> models);

// One way to route: "trained", "untrained", "random", "forced:<model>" or "oracle".
struct ArmScores {
  std::string name;
  // Per question; unset: its pool failed, it is left out.
  std::vector<std::optional<EpisodeScore>> episodes;
};

// The oracle: for each question the cheapest of the forced episodes that are right (EM 1); where
// none is right, the cheapest wrong one. The first in the pool's order wins a tie. It can't be
// beaten by routing each question to one model; several models in one episode can.
ArmScores OracleOf(std::span<const ArmScores> forced);

struct Interval {
  double low = 0, high = 0;
};
// Of the episodes of one arm over some questions.
struct ArmSummary {
  int num_questions = 0;             // scored
  int num_left_out = 0;              // their pool failed
  double em = 0, f1 = 0;             // means
  std::optional<double> em_two_hop;  // over questions of two hops; unset without any
  double cost_usd_per_1k = 0;        // dollars per 1,000 questions
  double calls_per_question = 0;
  Interval em_interval, f1_interval, cost_interval,
      calls_interval;                   // 95 %, percentile bootstrap over questions
  std::map<std::string, double> share;  // of the calls, per model; every model is there
  double share_entropy = 0;             // of those, in nats
};
// The trained policy minus an arm, over the questions that both have scored: what the questions have
// in common falls out, so that these intervals are narrower than those of the two arms.
struct ArmDifference {
  int num_questions = 0;
  double em = 0, f1 = 0;
  double cost_usd_per_1k = 0;
  Interval em_interval, f1_interval, cost_interval;  // 95 %, paired percentile bootstrap
};
struct ArmReport {
  std::string name;
  ArmSummary all;
  std::map<std::string, ArmSummary> by_source;  // those of which a question was scored
  std::optional<ArmDifference> trained_minus;   // unset: of "trained" itself, or without questions
};
struct EvaluationReport {
  std::vector<ArmReport> arms;  // in the table's order
  std::vector<std::string> models;
  int num_questions = 0;
};

// Scores with the questions that they belong to, summarised.
ArmReport Summarise(const ArmScores& arm, std::span<const Question> questions,
                    std::span<const std::string> models, int bootstrap_resamples);

// Both of the same questions. unset: there are none that both have scored.
std::optional<ArmDifference> DifferenceOf(const ArmScores& trained, const ArmScores& arm,
                                          int bootstrap_resamples);

// {"<arm>": {"em", "f1", "em_two_hop", "cost_usd_per_1k", "calls_per_question",
// "share", …, "by_source", "trained_minus"}, …}
std::string ReportToJson(const EvaluationReport& report);
// Fixed-width text: a row an arm; EM and cost per data source; the trained policy against each arm;
// the gap to the oracle; what was left out.
std::string ReportToTable(const EvaluationReport& report);

}  // namespace routewright
