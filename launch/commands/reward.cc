// `routewright reward`: scores recorded transcripts, JSON lines in and out.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <string>

#include "common/reward/reward_lines.h"
#include "common/text.h"
#include "launch/cli/command.h"
#include "launch/cli/config_flags.h"

namespace routewright {
namespace {

constexpr char kFooter[] =
    R"(Reads one JSON object a line, writes one a line in the same order; a bad line is
named on stderr, the others are still scored, and the exit code is 1.

example:
  echo '{"response":"<think>easy</think><answer>Paris</answer>","golden_answers":["Paris"]}' |
    routewright reward --mode reference
  routewright reward --metric f1 --cost-coefficient 0.6 < runs/demo/trajectories/step-000010.jsonl)";

struct RewardFlags {
  std::string mode = "strict";
  std::string metric = "em";
  double cost_coefficient = 0;
};

absl::StatusOr<std::string> ScoreLine(const RewardFlags& flags, const std::string& line) {
  if (flags.mode == "reference") return ScoreReferenceLine(line);
  RewardConfig config;
  config.set_metric(flags.metric == "f1" ? RewardConfig::METRIC_F1 : RewardConfig::METRIC_EM);
  config.set_cost_coefficient(flags.cost_coefficient);
  return ScoreStrictLine(line, config);
}

int ScoreStdin(const RewardFlags& flags) {
  bool is_sound = true;
  std::string line;
  for (int64_t number = 1; std::getline(std::cin, line); ++number) {
    if (StripWhitespace(line).empty()) continue;
    const absl::StatusOr<std::string> scores = ScoreLine(flags, line);
    if (!scores.ok()) {
      std::fprintf(stderr, "routewright reward: line %lld %s\n", static_cast<long long>(number),
                   std::string(scores.status().message()).c_str());
      is_sound = false;
      continue;
    }
    std::fprintf(stdout, "%s\n", scores->c_str());
    if (std::fflush(stdout) != 0) {
      return PrintFailure(
          "reward", absl::DataLossError("cannot write the scores to stdout: is the disk full?"));
    }
  }
  if (std::cin.bad())
    return PrintFailure("reward", absl::DataLossError("cannot read stdin to its end"));
  return is_sound ? kExitOk : kExitFailed;
}

}  // namespace

int RunReward(int argc, char** argv) {
  CLI::App app("Scores recorded transcripts, JSON lines in and out.", "routewright reward");
  app.footer(kFooter);
  RewardFlags flags;
  app.add_option("--mode", flags.mode,
                 "strict: Routewright's own scoring of trajectory lines; reference: Router-R1's "
                 "published scoring of "
                 "{\"response\", \"golden_answers\", \"metric\", \"cost_coefficient\", "
                 "\"cost_reward\"} lines")
      ->check(CLI::IsMember({"strict", "reference"}))
      ->capture_default_str();
  auto* metric = app.add_option("--metric", flags.metric, "strict mode: em or f1")
                     ->check(CLI::IsMember({"em", "f1"}))
                     ->capture_default_str();
  auto* coefficient = app.add_option("--cost-coefficient", flags.cost_coefficient,
                                     "strict mode: weight of the recorded cost reward, 0 to 1")
                          ->check(CLI::Range(0.0, 1.0))
                          ->capture_default_str();
  if (const int code = ParseCommandLine(app, argc, argv); code >= 0) return code;
  if (flags.mode == "reference" && (metric->count() > 0 || coefficient->count() > 0)) {
    return PrintFailure(
        "reward",
        UsageError("--metric and --cost-coefficient are for --mode strict: a reference line says "
                   "its own"));
  }
  return ScoreStdin(flags);
}

}  // namespace routewright
