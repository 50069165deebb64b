// A trajectory source without workers: every trajectory is a function of its EpisodeSpec alone,
// with a log-probability near that of a uniform guess. Counts what the learner asks of it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/random.h"
#include "policy/model/policy_weights.h"
#include "tests/trainer/experience/recorded_trajectories.h"
#include "trainer/experience/trajectory_source.h"

namespace routewright {

// What a test sees of the source, which dies with its run.
struct SourceRecord {
  std::vector<int64_t> published;                // versions, in order
  std::shared_ptr<const PolicyWeights> weights;  // of the newest version
  std::vector<StepPlan> plans;
  std::vector<int64_t> forgotten;  // what ForgetBefore was told
  bool is_finished = false;
};

class FakeTrajectorySource final : public TrajectorySource {
 public:
  // `change` may alter each trajectory; `before_step` is called with each plan
  // and may return an error.
  using Change = std::function<void(const EpisodeSpec&, Trajectory&)>;
  using BeforeStep = std::function<absl::Status(
      const StepPlan&, const std::function<bool(const CollectProgress&)>&)>;
  FakeTrajectorySource(int64_t vocabulary_size, SourceRecord* record, Change change = {},
                       BeforeStep before_step = {})
      : vocabulary_size_(vocabulary_size),
        record_(record),
        change_(std::move(change)),
        before_step_(std::move(before_step)) {}

  absl::Status PublishWeights(int64_t policy_version,
                              std::shared_ptr<const PolicyWeights> weights) override {
    if (record_->weights != nullptr) return absl::InternalError("two versions' weights at once");
    record_->published.push_back(policy_version);
    record_->weights = std::move(weights);
    return absl::OkStatus();
  }

  void RetireWeights() override { record_->weights = nullptr; }

  absl::StatusOr<CollectedStep> CollectStep(
      const StepPlan& plan,
      const std::function<bool(const CollectProgress&)>& should_go_on) override {
    if (record_->published.empty() || record_->published.back() != plan.policy_version) {
      return absl::InternalError("the step's weights were not published");
    }
    record_->plans.push_back(plan);
    if (before_step_) {
      if (absl::Status status = before_step_(plan, should_go_on); !status.ok()) return status;
    }
    CollectedStep step;
    step.num_workers = 1;
    for (const EpisodeSpec& spec : plan.episodes) step.trajectories.push_back(Run(spec));
    return step;
  }

  absl::Status ForgetBefore(int64_t step) override {
    record_->forgotten.push_back(step);
    return absl::OkStatus();
  }

  absl::Status Finish() override {
    record_->is_finished = true;
    return absl::OkStatus();
  }

 private:
  Trajectory Run(const EpisodeSpec& spec) const {
    Trajectory trajectory = RecordTrajectory(spec.episode_id(), spec.run_seed(), vocabulary_size_,
                                             spec.policy_version());
    trajectory.set_purpose(spec.purpose());
    trajectory.set_step(spec.step());
    *trajectory.mutable_question() = spec.question();
    const uint64_t bits = RandomBits(StreamKey(spec.run_seed(), spec.episode_id(), 1), 0);
    trajectory.mutable_components()->set_em(static_cast<double>(bits % 2));
    trajectory.mutable_components()->set_f1(static_cast<double>(bits % 2));
    trajectory.mutable_components()->set_cost_picousd(static_cast<int64_t>(bits % 1000) * 1000000);
    PoolCall* call = trajectory.add_pool_calls();
    call->set_model(bits % 3 == 0 ? "Sage" : "Atlas");
    call->set_outcome(CALL_OUTCOME_OK);
    call->set_cost_picousd(trajectory.components().cost_picousd());
    if (change_) change_(spec, trajectory);
    return trajectory;
  }

  const int64_t vocabulary_size_;
  SourceRecord* const record_;
  const Change change_;
  const BeforeStep before_step_;
};

}  // namespace routewright
