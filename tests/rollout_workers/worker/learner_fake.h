// A learner for tests, without a wire: gives out the leases that it is told to, collects
// what is submitted, serves the weights of a tiny policy. LearnerService's semantics,
// none of the trainer's code.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "common/crc32c.h"
#include "rollout_workers/worker/learner_client.h"
#include "tests/policy/model/tiny_policy.h"

namespace routewright {

// Thread-safe.
class FakeLearner {
 public:
  static constexpr size_t kChunkBytes = 1000;

  explicit FakeLearner(const ModelConfig& policy) : policy_(policy) {}

  // ---- the test's side
  void Publish(int64_t policy_version, uint64_t seed) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    versions_[policy_version] = RandomPolicyWeights(policy_, seed);
    newest_version_ = policy_version;
  }
  void Withdraw(int64_t policy_version) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    versions_.erase(policy_version);
  }
  void Offer(EpisodeSpec spec, int attempt = 1) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    EpisodeLease lease;
    *lease.mutable_spec() = std::move(spec);
    lease.set_attempt(attempt);
    offered_.push_back(std::move(lease));
  }
  void Cancel(const std::string& episode_id) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    cancelled_.insert(episode_id);
  }
  void FinishRun() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    is_finished_ = true;
  }
  // As if the process were gone: every call fails until Restart.
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    is_up_ = false;
  }
  void Restart() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    is_up_ = true;
    ++epoch_;
    offered_.clear();
  }
  // The next `count` submissions are lost before they are acknowledged; with
  // `are_taken` only the answer is.
  void LoseSubmissions(int count) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    num_lost_submissions_ = count;
  }
  // The next `count` weight chunks arrive with a flipped bit; the next `breaks`
  // streams break after one chunk.
  void DamageWeights(int count, int breaks) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    num_damaged_chunks_ = count;
    num_broken_streams_ = breaks;
  }
  void RefuseRegistration(absl::Status status) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    refusal_ = std::move(status);
  }

  // Waits until `count` trajectories were submitted, copies included, and returns them all.
  std::vector<Trajectory> WaitForSubmitted(size_t count) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    const auto has_come = [&] {
      mutex_.AssertHeld();
      return submitted_.size() >= count;
    };
    mutex_.AwaitWithTimeout(absl::Condition(&has_come), absl::Seconds(30));
    return submitted_;
  }
  // Waits until the worker holds `episode_id` as active.
  bool WaitForActive(const std::string& episode_id) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    const auto is_active = [&] {
      mutex_.AssertHeld();
      return active_.count(episode_id) > 0;
    };
    return mutex_.AwaitWithTimeout(absl::Condition(&is_active), absl::Seconds(30));
  }
  // Waits until the worker was given the lease of `episode_id`.
  bool WaitForLeased(const std::string& episode_id) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    const auto is_leased = [&] {
      mutex_.AssertHeld();
      return leased_.count(episode_id) > 0;
    };
    return mutex_.AwaitWithTimeout(absl::Condition(&is_leased), absl::Seconds(30));
  }
  // Waits until the worker no longer holds `episode_id`, which was cancelled.
  bool WaitForInactive(const std::string& episode_id) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    const auto is_inactive = [&] {
      mutex_.AssertHeld();
      return cancelled_.count(episode_id) == 0 && active_.count(episode_id) == 0;
    };
    return mutex_.AwaitWithTimeout(absl::Condition(&is_inactive), absl::Seconds(30));
  }
  int num_registrations() const ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return num_registrations_;
  }
  int num_weight_streams() const ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return num_weight_streams_;
  }
  size_t most_active() const ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return most_active_;
  }

  // ---- the worker's side
  absl::StatusOr<RegisterResponse> Register(const RegisterRequest&) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    if (!is_up_) return Down();
    if (!refusal_.ok()) return refusal_;
    ++num_registrations_;
    RegisterResponse response;
    response.set_run_name("fake");
    response.set_policy_version(newest_version_);
    response.set_learner_epoch(epoch_);
    return response;
  }
  absl::StatusOr<LeaseResponse> Lease(const LeaseRequest& request,
                                      const std::function<bool()>& is_gone)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    const absl::Time give_up = absl::Now() + absl::Milliseconds(request.wait_ms());
    absl::MutexLock lock(&mutex_);
    LeaseResponse response;
    while (true) {
      if (!is_up_) return Down();
      if (request.learner_epoch() != epoch_) return absl::AbortedError("register again");
      active_ = {request.active_episode_ids().begin(), request.active_episode_ids().end()};
      FillLeases(request, response);
      const bool has_news =
          response.leases_size() + response.cancelled_episode_ids_size() > 0 || is_finished_;
      if (has_news || is_gone() || absl::Now() >= give_up) return response;
      const auto may_change = [this] {
        mutex_.AssertHeld();
        return !is_up_ || is_finished_ || !offered_.empty() || !cancelled_.empty();
      };
      mutex_.AwaitWithTimeout(absl::Condition(&may_change), absl::Milliseconds(20));
    }
  }
  absl::StatusOr<SubmitResponse> Submit(const SubmitRequest& request) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    if (!is_up_) return Down();
    if (request.learner_epoch() != epoch_) return absl::AbortedError("register again");
    SubmitResponse response;
    submitted_.insert(submitted_.end(), request.trajectories().begin(),
                      request.trajectories().end());
    if (num_lost_submissions_ > 0) {
      --num_lost_submissions_;
      return absl::UnavailableError("lost on the way back");
    }
    for (const Trajectory& trajectory : request.trajectories()) {
      response.add_acknowledged_episode_ids(trajectory.episode_id());
    }
    return response;
  }
  absl::StatusOr<WeightManifest> Manifest(int64_t policy_version) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    if (!is_up_) return Down();
    const auto version = versions_.find(policy_version);
    if (version == versions_.end()) return absl::NotFoundError("no such version");
    return ManifestOf(policy_version, *version->second);
  }
  // Calls `write` with each chunk until it returns false.
  absl::Status Stream(const FetchWeightsRequest& request,
                      const std::function<bool(const WeightChunk&)>& write)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    std::string bytes;
    bool is_breaking = false;
    {
      absl::MutexLock lock(&mutex_);
      ++num_weight_streams_;
      const auto version = versions_.find(request.policy_version());
      if (!is_up_) return Down();
      if (version == versions_.end()) return absl::NotFoundError("no such version");
      bytes = BytesOf(*version->second);
      is_breaking = num_broken_streams_ > 0;
      if (is_breaking) --num_broken_streams_;
    }
    for (size_t offset = request.first_offset(); offset < bytes.size(); offset += kChunkBytes) {
      WeightChunk chunk = ChunkOf(request.policy_version(), bytes, offset);
      if (!write(chunk) || is_breaking) return absl::UnavailableError("the stream broke");
    }
    return absl::OkStatus();
  }

  static WeightManifest ManifestOf(int64_t policy_version, const PolicyWeights& weights) {
    WeightManifest manifest;
    manifest.set_policy_version(policy_version);
    uint64_t offset = 0;
    for (const auto& [name, tensor] : weights.tensors()) {
      WeightTensor* entry = manifest.add_tensors();
      entry->set_name(name);
      entry->mutable_shape()->Assign(tensor.shape.begin(), tensor.shape.end());
      entry->set_offset(offset);
      entry->set_num_bytes(tensor.values.size() * sizeof(float));
      entry->set_crc32c(Crc32c(Bytes(tensor)));
      offset += entry->num_bytes();
    }
    manifest.set_total_bytes(offset);
    return manifest;
  }
  static std::string BytesOf(const PolicyWeights& weights) {
    std::string bytes;
    for (const auto& [name, tensor] : weights.tensors()) bytes += Bytes(tensor);
    return bytes;
  }

 private:
  static absl::Status Down() { return absl::UnavailableError("the learner is down"); }
  static std::string_view Bytes(const HostTensor& tensor) {
    return {reinterpret_cast<const char*>(tensor.values.data()),
            tensor.values.size() * sizeof(float)};
  }
  WeightChunk ChunkOf(int64_t policy_version, const std::string& bytes, size_t offset)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    WeightChunk chunk;
    chunk.set_policy_version(policy_version);
    chunk.set_offset(offset);
    chunk.set_data(bytes.substr(offset, kChunkBytes));
    chunk.set_crc32c(Crc32c(chunk.data()));
    absl::MutexLock lock(&mutex_);
    if (num_damaged_chunks_ > 0) {
      --num_damaged_chunks_;
      (*chunk.mutable_data())[0] ^= 1;
    }
    return chunk;
  }
  void FillLeases(const LeaseRequest& request, LeaseResponse& response)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    response.set_policy_version(newest_version_);
    response.set_is_finished(is_finished_);
    for (const std::string& id : request.active_episode_ids()) {
      if (cancelled_.erase(id) > 0) response.add_cancelled_episode_ids(id);
    }
    while (!offered_.empty() && response.leases_size() < request.max_episodes()) {
      *response.add_leases() = offered_.front();
      leased_.insert(offered_.front().spec().episode_id());
      offered_.erase(offered_.begin());
    }
    most_active_ =
        std::max(most_active_, active_.size() + static_cast<size_t>(response.leases_size()));
  }

  const ModelConfig policy_;
  mutable absl::Mutex mutex_;
  bool is_up_ ABSL_GUARDED_BY(mutex_) = true;
  bool is_finished_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t epoch_ ABSL_GUARDED_BY(mutex_) = 1;
  absl::Status refusal_ ABSL_GUARDED_BY(mutex_);
  int num_lost_submissions_ ABSL_GUARDED_BY(mutex_) = 0;
  int num_damaged_chunks_ ABSL_GUARDED_BY(mutex_) = 0;
  int num_broken_streams_ ABSL_GUARDED_BY(mutex_) = 0;
  int num_registrations_ ABSL_GUARDED_BY(mutex_) = 0;
  int num_weight_streams_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t most_active_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t newest_version_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<int64_t, std::shared_ptr<const PolicyWeights>> versions_ ABSL_GUARDED_BY(mutex_);
  std::vector<EpisodeLease> offered_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> cancelled_ ABSL_GUARDED_BY(mutex_), active_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> leased_ ABSL_GUARDED_BY(mutex_);
  std::vector<Trajectory> submitted_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace routewright
