#include "rollout_workers/evaluation/evaluation.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/log.h"
#include "common/status_macros.h"

namespace routewright {
namespace {

constexpr absl::Duration kLongestWait = absl::Milliseconds(200);

// The run of one arm.
class ArmRun {
 public:
  ArmRun(const EvaluationArm& arm, std::span<const Question> questions,
         const EvaluationOptions& options, EpisodeRunner& runner)
      : arm_(arm), questions_(questions), options_(options), runner_(runner) {
    scores_.name = arm.name;
    scores_.episodes.resize(questions.size());
  }

  absl::StatusOr<ArmScores> Run() {
    progress_.num_questions = static_cast<int>(questions_.size());
    while (progress_.num_done < progress_.num_questions) {
      if (options_.should_go_on && !options_.should_go_on())
        return absl::CancelledError("the evaluation was stopped");
      while (next_question_ < questions_.size() && runner_.num_running() < options_.max_episodes) {
        RW_RETURN_IF_ERROR(Start(next_question_++, /*attempt=*/1));
      }
      RW_ASSIGN_OR_RETURN(const std::vector<Trajectory> finished, runner_.Step(kLongestWait));
      for (const Trajectory& trajectory : finished) RW_RETURN_IF_ERROR(Take(trajectory));
      if (!finished.empty() && options_.report) options_.report(progress_);
    }
    return std::move(scores_);
  }

 private:
  absl::Status Start(size_t question, int attempt) {
    EpisodeSpec spec;
    spec.set_episode_id(absl::StrFormat("eval/%s/%06d", arm_.name, question));
    spec.set_purpose(PURPOSE_EVAL);
    *spec.mutable_question() = questions_[question];
    spec.set_run_seed(options_.run_seed);
    spec.set_temperature(options_.temperature);
    spec.set_forced_model(arm_.forced_model);
    spec.set_random_model(arm_.is_random);
    places_[spec.episode_id()] = question;
    return runner_.Add(spec, attempt);
  }

  absl::Status Take(const Trajectory& trajectory) {
    const size_t question = places_.at(trajectory.episode_id());
    if (trajectory.status() == EPISODE_STATUS_CANCELLED)
      return absl::CancelledError("a pool call was cancelled");
    if (trajectory.status() == EPISODE_STATUS_POOL_FAILED) {
      if (trajectory.attempt() < options_.max_attempts)
        return Start(question, trajectory.attempt() + 1);
      LogWarning("question left out arm=", arm_.name, " question=", questions_[question].id(),
                 " attempts=", trajectory.attempt(), " | ",
                 trajectory.pool_calls().rbegin()->error());
    } else {
      scores_.episodes[question] = ScoreOf(trajectory, options_.models);
      em_sum_ += trajectory.components().em();
      ++num_scored_;
      progress_.em = em_sum_ / num_scored_;
    }
    ++progress_.num_done;
    return absl::OkStatus();
  }

  const EvaluationArm& arm_;
  const std::span<const Question> questions_;
  const EvaluationOptions& options_;
  EpisodeRunner& runner_;
  ArmScores scores_;
  std::map<std::string, size_t> places_;  // episode id → question
  size_t next_question_ = 0;
  double em_sum_ = 0;
  int num_scored_ = 0;
  EvaluationProgress progress_;
};

}  // namespace

absl::StatusOr<ArmScores> RunArm(const EvaluationArm& arm, std::span<const Question> questions,
                                 const EvaluationOptions& options, EpisodeRunner& runner) {
  return ArmRun(arm, questions, options, runner).Run();
}

}  // namespace routewright
