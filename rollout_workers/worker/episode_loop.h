// A worker's episode loop: begins the leases that the exchange has, with the weights that they
// ask for, drives the episode runner, and hands finished trajectories back. The only thread
// that touches the generator.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "rollout_workers/episode/episode_runner.h"
#include "rollout_workers/worker/worker_exchange.h"

namespace routewright {

// Builds a generator that samples from `weights`.
using GeneratorFactory = std::function<absl::StatusOr<std::unique_ptr<Generator>>(
    std::shared_ptr<const PolicyWeights> weights, int64_t policy_version)>;

// One thread.
class EpisodeLoop {
 public:
  // `context`, `pool` and `exchange` must outlive the loop.
  EpisodeLoop(const EpisodeContext* context, GeneratorFactory make_generator, PoolClient* pool,
              WorkerIdentity worker, WorkerExchange* exchange);

  // Runs until the exchange is over. Fails: as the generator or the pool's ledger fails.
  absl::Status Run();

  // After Run: a CANCELLED trajectory for every episode that was leased and is not
  // finished, to be given back.
  std::vector<Trajectory> Abandon();

 private:
  bool has_running() const { return runner_ != nullptr && runner_->num_running() > 0; }
  absl::Status Turn();
  void Apply(WorkerExchange::News news);
  void CancelEpisode(const std::string& episode_id);
  // Swaps weights that have come in, once no episode of the version before is running.
  absl::Status InstallWeights();
  absl::Status BeginLeases();
  Trajectory Stamped(Trajectory trajectory);

  const EpisodeContext* const context_;
  const GeneratorFactory make_generator_;
  PoolClient* const pool_;
  const WorkerIdentity worker_;
  WorkerExchange* const exchange_;

  std::unique_ptr<Generator> generator_;   // unset until the first weights have come
  std::unique_ptr<EpisodeRunner> runner_;  // with the generator; dies first
  // Of the generator's weights; unset: they belong to an earlier learner.
  std::optional<int64_t> version_;
  std::shared_ptr<const PolicyWeights> next_weights_;
  int64_t next_version_ = 0;
  struct WaitingLease {
    EpisodeLease lease;
    absl::Time leased;
  };
  std::map<std::string, WaitingLease> waiting_;  // for their weights, by episode id
  uint64_t last_sequence_number_ = 0;
};

}  // namespace routewright
