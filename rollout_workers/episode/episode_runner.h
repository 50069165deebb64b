// Runs many episodes at once over one generator and one pool client: one loop, one thread. No
// episode waits for another's pool call, and rounds of all episodes share the generator's batch.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "rollout_workers/episode/episode.h"
#include "rollout_workers/episode/episode_tracer.h"
#include "rollout_workers/generator/generator.h"
#include "rollout_workers/pool/pool_client.h"

namespace routewright {

// One thread, except Wake. What an episode samples does not depend on the others, nor
// on when they come and go.
class EpisodeRunner {
 public:
  // All three must outlive the runner.
  EpisodeRunner(const EpisodeContext* context, Generator* generator, PoolClient* pool);

  // Starts an episode that the worker got at `leased`; at any time. Fails: kAlreadyExists
  // if one of this id is running; kInvalidArgument if spec.forced_model is not listed;
  // else as the generator fails.
  absl::Status Add(const EpisodeSpec& spec, int attempt, absl::Time leased = absl::Now());

  // Ends a running episode now and returns what it had, status CANCELLED; nullopt if none of this
  // id is running. What its pool call costs is in the ledger.
  std::optional<Trajectory> Cancel(const std::string& episode_id);

  // One turn: takes the pool calls that finished, advances every running round by one token, and
  // returns the trajectories that are complete. With no round to advance it waits up to `wait` for
  // a pool call or Wake(). Fails: as the generator fails, or when the pool's ledger cannot be
  // written; the runner is then unusable.
  absl::StatusOr<std::vector<Trajectory>> Step(absl::Duration wait);

  // Ends a Step that waits. Any thread.
  void Wake() { pool_->Wake(); }

  int num_running() const { return static_cast<int>(episodes_.size()); }
  std::vector<std::string> RunningIds() const;

 private:
  struct Running {
    Episode episode;
    EpisodeTracer tracer;
    std::string call_id;  // of the pool call under way; empty without one
  };

  // Does what an episode asks for.
  absl::Status Execute(const std::string& episode_id, EpisodeCommand command);
  absl::Status Do(const std::string& episode_id, RoundRequest request);
  absl::Status Do(const std::string& episode_id, PoolRequest request);
  absl::Status Do(const std::string& episode_id, Trajectory trajectory);
  absl::Status TakePoolCalls(absl::Duration wait);
  absl::Status AdvanceRounds();

  const EpisodeContext* const context_;
  Generator* const generator_;
  PoolClient* const pool_;
  std::map<std::string, Running> episodes_;   // by episode id
  std::map<std::string, std::string> calls_;  // call id → episode id, of calls that are wanted
  std::set<std::string> cancelled_calls_;     // still under way at the pool, nobody wants them
  // By call id: start when the cancelled one of that id has ended.
  std::map<std::string, PoolRequest> delayed_calls_;
  std::vector<Trajectory> finished_;
};

}  // namespace routewright
