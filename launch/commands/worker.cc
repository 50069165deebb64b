// routewright worker: runs episodes for a learner.
#include "rollout_workers/worker/worker.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/check.h"
#include "common/config/config_digest.h"
#include "common/config/config_loader.h"
#include "common/log.h"
#include "common/network_address.h"
#include "common/secret.h"
#include "common/status_macros.h"
#include "launch/cli/command.h"
#include "launch/cli/config_flags.h"
#include "launch/cli/end_signals.h"
#include "launch/cli/serve_prometheus.h"
#include "launch/cli/version.h"
#include "rollout_workers/episode/episode_setup.h"
#include "rollout_workers/worker/learner_address.h"
#include "rollout_workers/worker/learner_client.h"

namespace routewright {
namespace {

constexpr absl::Duration kTokenCheckEvery = absl::Milliseconds(200);

std::string HostAndPid() { return absl::StrCat(HostName(), ":", getpid()); }

// The worker that a signal stops, as long as there is one. Thread-safe.
class StoppableWorker {
 public:
  void Set(Worker* worker) {
    absl::MutexLock lock(&mutex_);
    worker_ = worker;
    if (worker_ != nullptr && is_stopped_) worker_->Stop();
  }
  bool is_stopped() const {
    absl::MutexLock lock(&mutex_);
    return is_stopped_;
  }
  void Stop() {
    LogInfo("asked to stop: giving episodes back");
    absl::MutexLock lock(&mutex_);
    is_stopped_ = true;
    if (worker_ != nullptr) worker_->Stop();
  }

 private:
  mutable absl::Mutex mutex_;
  Worker* worker_ ABSL_GUARDED_BY(mutex_) = nullptr;
  bool is_stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

// Where the learner is: as told, else as it says itself in the run's folder.
absl::StatusOr<LearnerAddress> FindLearner(const RunConfig& config, const std::string& address) {
  if (address.empty()) return LearnerAddressInFile(LearnerAddressFile(config));
  if (ParseNetworkAddress(address).has_value()) return FixedLearnerAddress(address);
  return UsageError(absl::StrCat(
      "--learner: \"", address,
      "\" is not HOST:PORT; the learner writes its address to <run folder>/learner.address"));
}

// Before a run's first learner there is no token: it is waited for as a learner is.
absl::StatusOr<Secret> LoadLearnerToken(const std::string& path, absl::Duration patience,
                                        const StoppableWorker& stoppable) {
  const absl::Time give_up = absl::Now() + patience;
  auto token = LoadSharedSecret(path, "learner's token");
  if (absl::IsNotFound(token.status())) {
    LogInfo("no learner has written ", path, " yet: waiting for it");
  }
  while (absl::IsNotFound(token.status()) && absl::Now() < give_up && !stoppable.is_stopped()) {
    absl::SleepFor(kTokenCheckEvery);
    token = LoadSharedSecret(path, "learner's token");
  }
  if (!absl::IsNotFound(token.status())) return token;
  return absl::NotFoundError(absl::StrCat(
      std::string(token.status().message()), "; no learner for ", absl::FormatDuration(patience),
      " (worker.reconnect_timeout_s): start it, or, where its run's folder is not shared, copy the "
      "file here and name it with --token-file, and the learner's address with --learner"));
}

absl::Status Work(const ConfigFlags& flags, const std::string& learner_address,
                  std::string token_file, const std::string& worker_id) {
  // Signals are blocked before gRPC, the pool client and the worker start their threads: a thread
  // that does not block one has its default action done to the whole process.
  StoppableWorker stoppable;
  const EndSignals signals([&] { stoppable.Stop(); });
  RW_ASSIGN_OR_RETURN(const RunConfig config, flags.Load());
  RW_ASSIGN_OR_RETURN(LearnerAddress address, FindLearner(config, learner_address));
  SetProcessName(absl::StrCat("worker id=", worker_id).c_str());
  RW_ASSIGN_OR_RETURN(const auto setup, EpisodeSetup::Load(config, config.policy().path()));
  if (token_file.empty()) token_file = LearnerTokenFile(config);
  const auto token =
      LoadLearnerToken(token_file, absl::Seconds(config.worker().reconnect_timeout_s()), stoppable);
  if (!token.ok()) return stoppable.is_stopped() ? absl::OkStatus() : token.status();
  const auto learner =
      ConnectToLearner(std::move(address), *token, absl::Seconds(config.worker().rpc_timeout_s()));

  WorkerOptions options;
  options.identity.set_worker_id(worker_id);
  options.identity.set_worker_epoch(static_cast<uint64_t>(absl::ToUnixMicros(absl::Now())));
  RW_ASSIGN_OR_RETURN(options.config_digest, WorkerConfigDigest(config));
  options.code_version = CodeVersion();
  options.config = config.worker();

  RW_ASSIGN_OR_RETURN(const auto exporter,
                      ServePrometheus(config, config.worker().prometheus(), /*port_offset=*/0,
                                      absl::StrCat("worker-", worker_id),
                                      {{"role", "worker"}, {"worker", worker_id}}));
  options.exporter = exporter.get();
  const auto pool = OpenPool(config, &setup->tokenizer(), /*keeps_budget=*/false);
  if (absl::IsInvalidArgument(pool.status()) || absl::IsNotFound(pool.status()) ||
      absl::IsPermissionDenied(pool.status())) {
    return UsageError(std::string(pool.status().message()));  // starting again does not mend it
  }
  RW_RETURN_IF_ERROR(pool.status());
  Worker worker(
      std::move(options), &setup->context(), &setup->layout(),
      [&](std::shared_ptr<const PolicyWeights> weights, int64_t policy_version) {
        return setup->MakeGenerator(std::move(weights), policy_version);
      },
      pool->get(), learner.get());
  stoppable.Set(&worker);
  absl::Status status = worker.Run();
  stoppable.Set(nullptr);
  return status;
}

}  // namespace

int RunWorker(int argc, char** argv) {
  CLI::App app(
      "Runs episodes for a learner: leases them, samples with its weights, calls the pool and "
      "sends "
      "the trajectories back. It may come and go at any time; SIGUSR1, SIGTERM and Ctrl-C give its "
      "episodes back first. It ends when the run is finished.",
      "routewright worker");
  app.footer(
      "examples:\n"
      "  routewright worker --config configs/quickstart.yaml\n"
      "  routewright worker --config configs/quickstart.yaml --learner train0:41234 --token-file "
      "learner.token");
  ConfigFlags flags;
  flags.AddTo(app);
  std::string learner;
  app.add_option("--learner", learner,
                 "the learner's address, HOST:PORT; default: what <run folder>/learner.address "
                 "says, again whenever the learner is lost");
  std::string token_file;
  app.add_option("--token-file", token_file,
                 "a file with what this worker must show the learner, which made it; default: <run "
                 "folder>/learner.token");
  std::string id = HostAndPid();
  app.add_option("--id", id, "this worker's name in logs and trajectories; default: host:pid");
  if (const int code = ParseCommandLine(app, argc, argv); code >= 0) return code;
  const absl::Status status = Work(flags, learner, token_file, id);
  return status.ok() ? kExitOk : PrintFailure("worker", status);
}

}  // namespace routewright
