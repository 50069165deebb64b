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
  routewright reward --config runs/demo/config.resolved.yaml < runs/demo/trajectories/step-000010.jsonl)";

struct RewardFlags {
  std::string mode = "strict";
  std::string config_path;
  double cost_weight = 0;  // λ
  RewardConfig reward;
};

absl::StatusOr<std::string> ScoreLine(const RewardFlags& flags, const std::string& line) {
  if (flags.mode == "reference") return ScoreReferenceLine(line);
  return ScoreStrictLine(line, flags.reward, flags.cost_weight);
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
  std::string metric_name = "em";
  double cost_coefficient = 0;
  auto* metric = app.add_option("--metric", metric_name, "strict mode: em or f1")
                     ->check(CLI::IsMember({"em", "f1"}))
                     ->capture_default_str();
  auto* coefficient = app.add_option("--cost-coefficient", cost_coefficient,
                                     "strict mode: weight of the recorded cost reward, 0 to 1")
                          ->check(CLI::Range(0.0, 1.0))
                          ->capture_default_str();
  auto* config =
      app.add_option("--config", flags.config_path,
                     "strict mode: a run's configuration, such as config.resolved.yaml, whose "
                     "reward section is meant: metric, cost form, latency");
  auto* weight =
      app.add_option("--cost-weight", flags.cost_weight,
                     "strict mode, with reward.cost_form: budget: λ, episode/cost_weight of the "
                     "step before")
          ->check(CLI::NonNegativeNumber)
          ->capture_default_str();
  if (const int code = ParseCommandLine(app, argc, argv); code >= 0) return code;
  const bool has_own = metric->count() > 0 || coefficient->count() > 0;
  if (flags.mode == "reference" && (has_own || config->count() > 0 || weight->count() > 0)) {
    return PrintFailure(
        "reward",
        UsageError("--metric, --cost-coefficient, --config and --cost-weight are for --mode "
                   "strict: a reference line says its own"));
  }
  if (has_own && config->count() > 0) {
    return PrintFailure("reward",
                        UsageError("--config says metric and cost: leave out --metric and "
                                   "--cost-coefficient"));
  }
  flags.reward.set_metric(metric_name == "f1" ? RewardConfig::METRIC_F1 : RewardConfig::METRIC_EM);
  flags.reward.set_cost_coefficient(cost_coefficient);
  if (config->count() > 0) {
    const absl::StatusOr<RunConfig> run =
        ConfigFlags{.path = flags.config_path, .overrides = {}}.Load();
    if (!run.ok()) return PrintFailure("reward", run.status());
    flags.reward = run->reward();
  }
  if (weight->count() > 0 && flags.reward.cost_form() != RewardConfig::COST_FORM_BUDGET) {
    return PrintFailure(
        "reward",
        UsageError("--cost-weight is λ of reward.cost_form: budget, which --config does not "
                   "say"));
  }
  return ScoreStdin(flags);
}

}  // namespace routewright
