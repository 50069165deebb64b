// routewright ask: one question, every round of it shown.
#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdio>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/check.h"
#include "common/status_macros.h"
#include "launch/cli/command.h"
#include "launch/cli/config_flags.h"
#include "launch/cli/end_signals.h"
#include "rollout_workers/episode/episode_runner.h"
#include "rollout_workers/episode/episode_setup.h"
#include "rollout_workers/episode/episode_text.h"

namespace routewright {
namespace {

struct AskFlags {
  ConfigFlags config;
  std::string policy;
  std::string question;
  double temperature = 0;
  uint64_t seed = 0;
};

absl::StatusOr<Trajectory> RunEpisode(const EpisodeSpec& spec, EpisodeRunner& runner,
                                      const std::atomic<bool>& is_stopped) {
  RW_RETURN_IF_ERROR(runner.Add(spec, /*attempt=*/1));
  while (!is_stopped) {
    RW_ASSIGN_OR_RETURN(std::vector<Trajectory> finished, runner.Step(absl::Milliseconds(200)));
    if (!finished.empty()) return std::move(finished.front());
  }
  return absl::CancelledError("stopped; a pool call under way may still be paid for");
}

absl::StatusOr<int> Ask(const AskFlags& flags) {
  RW_ASSIGN_OR_RETURN(const RunConfig config, flags.config.Load());
  SetProcessName("ask");
  std::atomic<bool> is_stopped = false;
  const EndSignals signals([&] { is_stopped = true; });
  RW_ASSIGN_OR_RETURN(const auto setup, EpisodeSetup::Load(config, flags.policy));
  RW_ASSIGN_OR_RETURN(const auto generator, setup->MakeGeneratorOfFolder());
  RW_ASSIGN_OR_RETURN(const auto pool,
                      OpenPool(config, &setup->tokenizer(), /*keeps_budget=*/true));
  EpisodeRunner runner(&setup->context(), generator.get(), pool.get());

  EpisodeSpec spec;
  spec.set_episode_id("ask");
  spec.set_purpose(PURPOSE_EVAL);
  spec.mutable_question()->set_id("ask");
  spec.mutable_question()->set_question(flags.question);
  spec.set_run_seed(flags.seed);
  spec.set_temperature(flags.temperature);
  RW_ASSIGN_OR_RETURN(const Trajectory trajectory, RunEpisode(spec, runner, is_stopped));
  std::fputs(EpisodeToText(trajectory, setup->tokenizer()).c_str(), stdout);
  return trajectory.status() == EPISODE_STATUS_ANSWERED ? kExitOk : kExitFailed;
}

}  // namespace

int RunAsk(int argc, char** argv) {
  CLI::App app(
      "Asks a policy one question and shows every round: what it wrote, whom it called, what came "
      "back, at what price and in what time. The exit code is 1 if it gave no answer.",
      "routewright ask");
  app.footer(
      "example:\n"
      "  routewright ask --config configs/quickstart.yaml --policy data/quickstart/policy "
      "\"What is the capital of Peru?\"");
  AskFlags flags;
  flags.config.AddTo(app);
  app.add_option("--policy", flags.policy, "a policy folder")->required();
  app.add_option("--temperature", flags.temperature, "0 is greedy")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str();
  app.add_option("--seed", flags.seed, "of the sampling")->capture_default_str();
  app.add_option("question", flags.question, "the question")->required();
  if (const int code = ParseCommandLine(app, argc, argv); code >= 0) return code;
  const absl::StatusOr<int> code = Ask(flags);
  return code.ok() ? *code : PrintFailure("ask", code.status());
}

}  // namespace routewright
