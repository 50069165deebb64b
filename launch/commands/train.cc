// routewright train: one rank of the learner. Under mpirun or srun every rank runs this same
// command.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/config/algorithm_facts.h"
#include "common/config/config_loader.h"
#include "common/config/config_value.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "kernels/matmul/matmul.h"
#include "launch/cli/command.h"
#include "launch/cli/config_flags.h"
#include "launch/cli/serve_page.h"
#include "launch/cli/serve_prometheus.h"
#include "launch/cli/version.h"
#include "launch/plan/run_description.h"
#include "policy/formats/policy_folder.h"
#include "rollout_workers/episode/episode_setup.h"
#include "rollout_workers/episode/episode_text.h"
#include "trainer/checkpoint/checkpoint_reader.h"
#include "trainer/comm/agreement.h"
#include "trainer/comm/communicator.h"
#include "trainer/comm/launcher_environment.h"
#include "trainer/live_page/run_report.h"
#include "trainer/loop/learner.h"
#include "trainer/loop/run_environment.h"
#include "trainer/loop/stop_signals.h"
#include "trainer/record/progress.h"
#include "trainer/rollout_service/rollout_service.h"
#include "trainer/update/device.h"
#include "trainer/update/host_allocator.h"

namespace routewright {
namespace {

bool HasWeights(const std::string& policy_folder) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(policy_folder, error)) {
    if (entry.path().extension() == ".safetensors") return true;
  }
  return false;
}

absl::Status CheckWeights(const std::string& policy_folder) {
  RW_ASSIGN_OR_RETURN(const ModelConfig config, LoadModelConfig(policy_folder));
  return OpenPolicyTensors(policy_folder, config).status();
}

// Every rank meets the same faults in config and files: one of them says so.
int Fail(const absl::Status& status) {
  if (LauncherRank() == 0) return PrintFailure("train", status);
  return IsUsageError(status) ? kExitUsage : kExitFailed;
}

// What the workers will need: a learner without it would wait for workers that cannot start.
// nullptr: a supervised run has no episodes.
absl::StatusOr<std::unique_ptr<EpisodeSetup>> LoadEpisodeSetup(const RunConfig& config) {
  if (FactsOf(config.trainer()).learns_from_demonstrations()) return nullptr;
  return EpisodeSetup::Load(config, config.policy().path());
}

// A line each; after other text as KEY=VALUE, by which they are found.
int PrintValues(const RunConfig& config, const std::vector<std::string>& keys, bool are_named) {
  std::string text;
  for (const std::string& key : keys) {
    const absl::StatusOr<std::string> value = ConfigValue(config, key);
    if (!value.ok()) {
      return Fail(UsageError(absl::StrCat("--print: ", value.status().message())));
    }
    if (are_named) absl::StrAppend(&text, key, "=");
    absl::StrAppend(&text, *value, "\n");
  }
  std::fputs(text.c_str(), stdout);
  return kExitOk;
}

// Everything that a run reads is read; a plan can be had before the weights. The values of the keys
// `printed` come last.
int DryRun(const RunConfig& config, const std::string& resume, const PlannedMachine& machine,
           const std::vector<std::string>& printed) {
  if (const auto setup = LoadEpisodeSetup(config); !setup.ok()) return Fail(setup.status());
  if (resume != "auto" && resume != "none") {
    const auto checkpoint = CheckpointReader::Open(FileSystem::Posix(), resume);
    if (!checkpoint.ok()) return Fail(checkpoint.status());
  }
  const bool has_weights = HasWeights(config.policy().path());
  if (has_weights) {
    const absl::Status weights = CheckWeights(config.policy().path());
    if (!weights.ok()) return Fail(weights);
  }
  const absl::Status fault = CheckPlannedMachine(config, machine);
  if (!fault.ok()) return Fail(UsageError(std::string(fault.message())));
  // One rank measures and speaks.
  if (LauncherRank() != 0) return PrintValues(config, printed, /*are_named=*/true);
  const auto description = DescribeRun(config, machine);
  if (!description.ok()) return Fail(description.status());
  std::fputs(description->c_str(), stdout);
  if (!has_weights) {
    std::printf("# weights: %s has none yet; the plan is its config.json's\n",
                config.policy().path().c_str());
  }
  return PrintValues(config, printed, /*are_named=*/true);
}

absl::Status OpenLog(const RunConfig& config, int rank) {
  SetProcessName(absl::StrCat("trainer rank=", rank).c_str());
  SetLogQuiet(rank != 0 || ChooseProgressStyle() == ProgressStyle::kBar);
  return SetLogFile(absl::StrCat(RunFolder(config), "/logs/rank-", rank, ".log"));
}

// What people see of a run from outside, while it runs and when it is over. Rank 0.
class RunPage {
 public:
  // `tokenizer` may be nullptr. Fails as ServePage does.
  absl::Status Open(const RunConfig& config, const EpisodeSetup* setup, LearnerParts& parts) {
    const nlohmann::ordered_json environment =
        DescribeEnvironment({.code_version = parts.code_version,
                             .num_ranks = parts.communicator->size(),
                             .is_on_gpu = parts.is_on_gpu,
                             .libraries = {GrpcLibraryVersion()}});
    parts.environment = environment.dump(2) + "\n";
    state_.emplace(config, environment, setup != nullptr ? &setup->tokenizer() : nullptr);
    RW_ASSIGN_OR_RETURN(server_, ServePage(config, &*state_, stdout));
    if (server_ != nullptr) parts.live_state = &*state_;
    return absl::OkStatus();
  }

  // Tells those who watch how it ended; a finished run gets its report.
  void End(const RunConfig& config, const absl::StatusOr<RunOutcome>& outcome) {
    if (outcome.ok() && *outcome == RunOutcome::kFinished) {
      const std::string folder = RunFolder(config);
      const absl::Status written =
          WriteRunReport(FileSystem::Posix(), {&folder, 1}, folder + "/report.html");
      if (!written.ok()) LogWarning("report.html was not written: ", written.message());
    }
    if (server_ == nullptr) return;
    const char* state = !outcome.ok()                        ? "failed"
                        : *outcome == RunOutcome::kPreempted ? "preempted"
                                                             : "finished";
    state_->End(state, outcome.ok() ? "" : std::string(outcome.status().message()));
    state_->WaitUntilSeen(absl::Seconds(5));
  }

 private:
  std::optional<LiveState> state_;
  std::unique_ptr<PageServer> server_;  // dies first
};

int Train(const RunConfig& config, const std::string& resume) {
  LimitKernelCache();
  UseHostAllocator();
  if (const auto policy = LoadModelConfig(config.policy().path()); !policy.ok()) {
    return Fail(policy.status());
  }
  const auto setup = LoadEpisodeSetup(config);
  if (!setup.ok()) return Fail(setup.status());
  const auto is_on_gpu = IsOnGpu(config);
  if (!is_on_gpu.ok()) return Fail(is_on_gpu.status());
  auto communicator =
      NewCommunicator(config.trainer().communicator(), *is_on_gpu,
                      absl::StrCat(RunFolder(config), "/logs/lost_rank.txt"),
                      absl::StrCat("code version ", CodeVersion(), "\n", ConfigToYaml(config)));
  if (!communicator.ok()) return Fail(communicator.status());
  const int rank = (*communicator)->rank();

  LearnerParts parts;
  parts.config = &config;
  parts.communicator = communicator->get();
  parts.is_on_gpu = *is_on_gpu;
  parts.code_version = CodeVersion();
  parts.resume = resume;
  if (const char* submission = std::getenv("ROUTEWRIGHT_SUBMISSION")) parts.submission = submission;
  parts.is_stop_requested = IsStopRequested;
  parts.files = &FileSystem::Posix();
  parts.open_source = [&config](int64_t vocabulary_size) {
    return StartRolloutService(config, vocabulary_size);
  };
  parts.progress_out = stdout;
  if (*setup != nullptr) {
    parts.describe_episode = [&setup](const Trajectory& trajectory) {
      return CommittedEpisodeToText(trajectory, (*setup)->tokenizer());
    };
  }
  absl::Status ready = OpenLog(config, rank);
  absl::StatusOr<std::unique_ptr<PrometheusExporter>> exporter = nullptr;
  if (ready.ok()) {
    exporter = ServePrometheus(config, config.trainer().prometheus(), (*communicator)->local_rank(),
                               absl::StrCat("rank-", rank),
                               {{"role", "trainer"}, {"rank", absl::StrCat(rank)}});
    ready = exporter.status();
    if (exporter.ok()) parts.exporter = exporter->get();
  }
  RunPage page;
  if (ready.ok() && rank == 0) ready = page.Open(config, setup->get(), parts);
  ready = PutFailedStartOnRecord(parts, AgreeOnStatus(**communicator, "ready", ready));
  const auto outcome = ready.ok() ? RunLearner(parts) : absl::StatusOr<RunOutcome>(ready);
  if (rank == 0) page.End(config, outcome);
  if (outcome.ok()) return *outcome == RunOutcome::kPreempted ? kExitPreempted : kExitOk;
  const int code = PrintFailure("train", outcome.status());
  if ((*communicator)->size() > 1) (*communicator)->Abort(outcome.status());
  return code;
}

std::string CheckRate(const std::string& text) {
  char* end = nullptr;
  const double rate = std::strtod(text.c_str(), &end);
  const bool is_number = !text.empty() && *end == '\0' && std::isfinite(rate);
  return is_number && rate > 0.0 ? "" : absl::StrCat("'", text, "' is not a number above 0");
}

void AddPlanFlags(CLI::App& app, CLI::Option* dry_run, PlannedMachine& machine) {
  auto* plan = app.add_option_group("with --dry-run");
  plan->add_option("--ranks", machine.ranks, "plan for this many ranks")
      ->check(CLI::Range(1, 65536));
  plan->add_option("--ranks-per-host", machine.ranks_per_host, "… of which so many share a host")
      ->check(CLI::Range(1, 65536));
  plan->add_option("--device", machine.device,
                   "… and each has this device; without it h100 if policy.device is cuda, "
                   "else this machine's CPU")
      ->check(CLI::IsMember({"h100", "h200", "a100", "cpu"}));
  plan->add_option("--ceiling-tflops", machine.ceiling_tflops,
                   "… which was measured to reach so many TFLOP/s in matrix products of the "
                   "compute type; otherwise assumed, or for CPUs measured here")
      ->check(CheckRate, "above 0");
  plan->add_option("--link-gbytes-per-s", machine.link_gbytes_per_s,
                   "… and so many GB/s to other hosts, each way; otherwise 50 are assumed")
      ->check(CheckRate, "above 0");
  for (CLI::Option* option : plan->get_options()) option->needs(dry_run);
}

}  // namespace

int RunTrain(int argc, char** argv) {
  CLI::App app(
      "Trains the policy of a config: one rank of the learner. Episodes are run by `routewright "
      "worker` processes, which may come and go. SIGUSR1, SIGTERM and Ctrl-C save a checkpoint and "
      "exit with 75.",
      "routewright train");
  app.footer(
      "examples:\n"
      "  routewright train --config configs/quickstart.yaml --dry-run\n"
      "  routewright train --config configs/quickstart.yaml --dry-run --ranks 8 --device h100\n"
      "  routewright train --config configs/quickstart.yaml --dry-run --ranks 16 --ranks-per-host "
      "8 "
      "--device h200 --ceiling-tflops 51 --link-gbytes-per-s 25\n"
      "  mpirun -n 2 routewright train --config configs/quickstart.yaml --set trainer.steps=20");
  ConfigFlags flags;
  flags.AddTo(app);
  std::string resume = "auto";
  app.add_option("--resume", resume,
                 "auto: go on from the run's newest checkpoint if there is one; none: start anew, "
                 "putting the old run aside; or a checkpoint's folder. Of starts with the same "
                 "$ROUTEWRIGHT_SUBMISSION, which launchers that start ranks again set, "
                 "the later ones go on")
      ->capture_default_str();
  bool is_dry_run = false;
  CLI::Option* dry_run =
      app.add_flag("--dry-run", is_dry_run,
                   "check config, data, prompt and policy, print what the run would be, and exit");
  std::vector<std::string> printed;
  app.add_option("--print", printed,
                 "print the value of this key, and of others where it is given again, a line each, "
                 "and exit: --print run.name; with --dry-run they come last, as KEY=VALUE")
      ->allow_extra_args(false);
  PlannedMachine machine{.ranks = LauncherSize(), .ranks_per_host = 0, .device = ""};
  AddPlanFlags(app, dry_run, machine);
  if (const int code = ParseCommandLine(app, argc, argv); code >= 0) return code;
  if (machine.ranks_per_host == 0) {
    const bool has_gpus = !machine.device.empty() && machine.device != "cpu";
    machine.ranks_per_host = has_gpus ? std::min(machine.ranks, 8) : machine.ranks;
  }

  InstallStopSignals();
  const auto config = flags.Load(ConfigFlags::Purpose::kTraining);
  if (!config.ok()) return Fail(config.status());
  if (is_dry_run) return DryRun(*config, resume, machine, printed);
  return printed.empty() ? Train(*config, resume)
                         : PrintValues(*config, printed, /*are_named=*/false);
}

}  // namespace routewright
