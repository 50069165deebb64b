// routewright eval: a policy over datasets, beside the ways to route that it has to beat.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/check.h"
#include "common/config/config_loader.h"
#include "common/dataset.h"
#include "common/file_system.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "launch/cli/command.h"
#include "launch/cli/config_flags.h"
#include "launch/cli/end_signals.h"
#include "rollout_workers/episode/episode_setup.h"
#include "rollout_workers/evaluation/evaluation.h"

namespace routewright {
namespace {

constexpr char kFooter[] =
    R"(Arms: trained (--policy), untrained (the config's policy), random (every call to a model drawn at
random), forced:<model> (every call to that model; both with --policy's own questions and answers)
and oracle (for each question the cheapest forced arm that is right). Every arm but the oracle calls
the pool, and is paid for: --baselines none evaluates --policy alone.

example:
  routewright eval --config configs/quickstart.yaml --policy runs/quickstart/checkpoints/step-000140/policy
    --data data/quickstart/questions.held_out.jsonl --output runs/quickstart/report.json)";

struct EvalFlags {
  ConfigFlags config;
  std::string policy;
  std::vector<std::string> data;
  std::string output;
  std::string table;
  bool with_baselines = true;
};

// A policy that is ready to run episodes.
struct Router {
  std::unique_ptr<EpisodeSetup> setup;
  std::unique_ptr<Generator> generator;
  std::unique_ptr<PoolClient> pool;
  std::unique_ptr<EpisodeRunner> runner;  // dies first
};

absl::StatusOr<Router> LoadRouter(const RunConfig& config, const std::string& policy_folder) {
  Router router;
  RW_ASSIGN_OR_RETURN(router.setup, EpisodeSetup::Load(config, policy_folder));
  RW_ASSIGN_OR_RETURN(router.generator, router.setup->MakeGeneratorOfFolder());
  RW_ASSIGN_OR_RETURN(router.pool,
                      OpenPool(config, &router.setup->tokenizer(), /*keeps_budget=*/true));
  router.runner = std::make_unique<EpisodeRunner>(&router.setup->context(), router.generator.get(),
                                                  router.pool.get());
  return router;
}

absl::StatusOr<std::vector<Question>> LoadEvaluationQuestions(
    const RunConfig& config, const std::vector<std::string>& paths) {
  google::protobuf::RepeatedPtrField<DatasetConfig> datasets = config.data().held_out();
  if (!paths.empty()) {
    datasets.Clear();
    for (const std::string& path : paths) datasets.Add()->set_path(path);
  }
  if (datasets.empty()) {
    return UsageError(
        "there is nothing to evaluate on: name files with --data, or set data.held_out");
  }
  RW_ASSIGN_OR_RETURN(std::vector<Question> questions, LoadDatasets(datasets));
  const size_t limit = static_cast<size_t>(config.evaluation().max_questions());
  return limit > 0 ? DrawEvenly(std::move(questions), limit) : std::move(questions);
}

// Found before anything is paid for.
absl::Status PrepareOutput(const char* flag, const std::string& path) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (!folder.empty()) RW_RETURN_IF_ERROR(FileSystem::Posix().CreateFolders(folder.string()));
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) return absl::OkStatus();
  return UsageError(
      absl::StrCat(flag, ": ", path, " is a folder; name a file, such as report.json"));
}

// One arm after another, each with its progress on stderr.
class Evaluation {
 public:
  Evaluation(const RunConfig& config, std::vector<Question> questions,
             const std::atomic<bool>& is_stopped)
      : config_(config), questions_(std::move(questions)) {
    for (const PoolModelConfig& model : config.pool().models()) models_.push_back(model.name());
    options_.run_seed = config.run().seed();
    options_.temperature = config.evaluation().temperature();
    options_.max_episodes = config.worker().max_episodes();
    options_.max_attempts = config.episode().max_attempts();
    options_.models = models_;
    options_.should_go_on = [&is_stopped] { return !is_stopped.load(); };
  }

  // Fails as an arm did; the report then has those before.
  absl::Status Run(const EvalFlags& flags) {
    RW_ASSIGN_OR_RETURN(Router trained, LoadRouter(config_, flags.policy));
    RW_RETURN_IF_ERROR(Add({.name = "trained"}, *trained.runner));
    return flags.with_baselines ? AddBaselines(*trained.runner) : absl::OkStatus();
  }

  bool has_arms() const { return !arms_.empty(); }
  EvaluationReport Report() const {
    EvaluationReport report;
    report.models = models_;
    report.num_questions = static_cast<int>(questions_.size());
    for (const ArmScores& scores : arms_) {
      const int resamples = config_.evaluation().bootstrap_resamples();
      report.arms.push_back(Summarise(scores, questions_, models_, resamples));
      if (&scores == &arms_.front()) continue;  // the trained policy
      report.arms.back().trained_minus = DifferenceOf(arms_.front(), scores, resamples);
    }
    return report;
  }

 private:
  absl::Status AddBaselines(EpisodeRunner& trained) {
    {
      RW_ASSIGN_OR_RETURN(Router untrained, LoadRouter(config_, config_.policy().path()));
      RW_RETURN_IF_ERROR(Add({.name = "untrained"}, *untrained.runner));
    }
    RW_RETURN_IF_ERROR(Add({.name = "random", .is_random = true}, trained));
    const size_t first_forced = arms_.size();
    for (const std::string& model : models_) {
      RW_RETURN_IF_ERROR(Add({.name = "forced:" + model, .forced_model = model}, trained));
    }
    arms_.push_back(OracleOf(std::span<const ArmScores>(arms_).subspan(first_forced)));
    return absl::OkStatus();
  }

  absl::Status Add(const EvaluationArm& arm, EpisodeRunner& runner) {
    const bool is_terminal = isatty(STDERR_FILENO) != 0;
    options_.report = [&](const EvaluationProgress& progress) {
      if (!is_terminal && progress.num_done < progress.num_questions) return;
      std::fprintf(stderr, "%s%-24s %d/%d questions  EM %.3f%s", is_terminal ? "\r" : "",
                   arm.name.c_str(), progress.num_done, progress.num_questions, progress.em,
                   progress.num_done < progress.num_questions ? "" : "\n");
    };
    absl::StatusOr<ArmScores> scores = RunArm(arm, questions_, options_, runner);
    if (!scores.ok() && is_terminal) std::fputc('\n', stderr);  // off the line of the progress
    RW_RETURN_IF_ERROR(scores.status());
    arms_.push_back(*std::move(scores));
    return absl::OkStatus();
  }

  const RunConfig& config_;
  const std::vector<Question> questions_;
  std::vector<std::string> models_;
  EvaluationOptions options_;
  std::vector<ArmScores> arms_;
};

// An arm of which the pool failed every question has no metrics: zeros would be taken for some. Fails naming them.
absl::Status TakeOutFailedArms(EvaluationReport& report) {
  std::vector<std::string> names;
  for (const ArmReport& arm : report.arms) {
    if (arm.all.num_questions == 0) names.push_back(arm.name);
  }
  if (names.empty()) return absl::OkStatus();
  std::erase_if(report.arms, [](const ArmReport& arm) { return arm.all.num_questions == 0; });
  return absl::UnavailableError(absl::StrCat(absl::StrJoin(names, ", "),
                                             ": the pool failed every question, at every attempt, "
                                             "so that there is nothing to report of it; "
                                             "mend the pool and evaluate again"));
}

absl::Status Evaluate(const EvalFlags& flags) {
  RW_ASSIGN_OR_RETURN(const RunConfig config, flags.config.Load());
  RW_ASSIGN_OR_RETURN(std::vector<Question> questions, LoadEvaluationQuestions(config, flags.data));
  RW_RETURN_IF_ERROR(PrepareOutput("--output", flags.output));
  if (!flags.table.empty()) RW_RETURN_IF_ERROR(PrepareOutput("--table", flags.table));
  SetProcessName("eval");
  std::atomic<bool> is_stopped = false;
  const EndSignals signals([&] { is_stopped = true; });
  Evaluation evaluation(config, std::move(questions), is_stopped);
  absl::Status status = evaluation.Run(flags);
  const bool is_out_of_money = absl::IsResourceExhausted(status) && evaluation.has_arms();
  if (!status.ok() && !is_out_of_money) return status;
  if (is_out_of_money) LogWarning("the report has the arms that were finished, and no oracle");
  EvaluationReport report = evaluation.Report();
  if (const absl::Status failed = TakeOutFailedArms(report); status.ok()) status = failed;
  if (report.arms.empty()) return status;
  RW_RETURN_IF_ERROR(WriteFileAtomically(FileSystem::Posix(), flags.output, ReportToJson(report)));
  const std::string table = ReportToTable(report);
  if (!flags.table.empty()) {
    RW_RETURN_IF_ERROR(WriteFileAtomically(FileSystem::Posix(), flags.table, table));
  } else {
    std::fputs(table.c_str(), stdout);
  }
  return status;
}

}  // namespace

int RunEval(int argc, char** argv) {
  CLI::App app("Evaluates a policy over datasets, greedily, with baselines in the same table.",
               "routewright eval");
  app.footer(kFooter);
  EvalFlags flags;
  flags.config.AddTo(app);
  app.add_option("--policy", flags.policy, "the trained policy's folder")->required();
  app.add_option("--data", flags.data, "question files; default: the config's data.held_out");
  app.add_option("--output", flags.output, "the report to write, JSON")->required();
  app.add_option("--table", flags.table, "write the table into this file instead of stdout");
  std::string baselines = "all";
  app.add_option("--baselines", baselines, "all or none")
      ->check(CLI::IsMember({"all", "none"}))
      ->capture_default_str();
  if (const int code = ParseCommandLine(app, argc, argv); code >= 0) return code;
  flags.with_baselines = baselines == "all";
  const absl::Status status = Evaluate(flags);
  return status.ok() ? kExitOk : PrintFailure("eval", status);
}

}  // namespace routewright
