// What a person watching the run sees on stdout: a bar that redraws itself on a terminal, else a
// line a step. One thread, rank 0.
#pragma once

#include <cstdint>
#include <cstdio>
#include <deque>
#include <string>

#include "absl/time/time.h"
#include "common/clock.h"
#include "trainer/record/metrics.h"

namespace routewright {

enum class ProgressStyle { kBar, kLines };

// kBar on a terminal, else kLines. mpirun gives its ranks a terminal whether it has one or not, so
// under it (and wherever it is set) the environment variable ROUTEWRIGHT_PROGRESS=bar|lines decides.
ProgressStyle ChooseProgressStyle();

class Progress {
 public:
  // Steps go up to num_steps − 1. `out` and `clock` must outlive the object.
  Progress(ProgressStyle style, int64_t num_steps, std::FILE* out, Clock* clock = &Clock::Real());
  ~Progress();  // leaves the terminal on a line of its own

  // While a step's episodes come in. In lines, only that no worker has been there for a while.
  void ShowCollecting(int64_t step, int num_committed, int num_episodes, int num_workers);
  // After a step, with the metrics of metrics.jsonl.
  void ShowStep(int64_t step, const Metrics& metrics);
  // After the last step, with the evaluation/ metrics of its weights.
  void ShowEvaluation(const Metrics& metrics);

 private:
  // Whether people should now be told, once, that nobody works.
  bool IsSilenceNews(int num_workers);
  void PrintLine(const std::string& line);
  void Redraw(const std::string& line);
  std::string Bar(int64_t steps_done) const;

  const ProgressStyle style_;
  const int64_t num_steps_;
  std::FILE* const out_;
  Clock* const clock_;
  std::string last_metrics_;              // of the step before, shown while collecting
  std::deque<double> recent_step_times_;  // s, for the time left
  bool is_line_open_ = false;
  absl::Time worker_seen_ = absl::InfiniteFuture();  // last; or when one was first waited for
  bool is_silence_told_ = false;
};

// "step 12/140 · 3m20s left · reward 0.61 · EM 0.72 · $3.10/1k questions · geo 45%
// math 30% · 5.2k tokens/s"
std::string StepSummary(int64_t step, int64_t num_steps, const Metrics& metrics,
                        double seconds_left);

// "3m20s", "2h05m", "12s".
std::string FormatSeconds(double seconds);

}  // namespace routewright
