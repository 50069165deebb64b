#include "trainer/record/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"

namespace routewright {
namespace {

constexpr size_t kTimesKept = 10;
constexpr int kBarWidth = 16;
constexpr size_t kModelsShown = 3;
constexpr absl::Duration kSilenceIsNews = absl::Seconds(10);

// The models called most, "geo 45% math 30%".
std::string TopShares(const Metrics& metrics) {
  std::vector<std::pair<double, std::string>> shares;
  for (const auto& [name, value] : metrics.values()) {
    absl::string_view model = name;
    if (absl::ConsumePrefix(&model, "pool/share:") && value > 0.0) {
      shares.emplace_back(-value, std::string(model));
    }
  }
  std::sort(shares.begin(), shares.end());
  std::string text;
  for (size_t i = 0; i < std::min(kModelsShown, shares.size()); ++i) {
    absl::StrAppendFormat(&text, "%s%s %.0f%%", i > 0 ? " " : "", shares[i].second,
                          -100.0 * shares[i].first);
  }
  return text.empty() ? "no calls" : text;
}

std::string HeldOutText(const Metrics& metrics) {
  if (metrics.Get("evaluation/count") <= 0) return "";
  return absl::StrFormat(" · held-out EM %.2f at $%.3g/1k", metrics.Get("evaluation/em"),
                         metrics.Get("evaluation/cost_usd_per_1k"));
}

std::string FormatRate(double per_second) {
  return per_second < 1000.0 ? absl::StrFormat("%.0f", per_second)
                             : absl::StrFormat("%.1fk", per_second / 1000.0);
}

// $COLUMNS, what the terminal says, or 100.
size_t TerminalColumns() {
  int columns = 0;
  if (const char* text = std::getenv("COLUMNS")) columns = std::atoi(text);
  winsize size = {};
  if (columns <= 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) columns = size.ws_col;
  return columns > 0 ? static_cast<size_t>(columns) : 100;
}

// The first characters of UTF-8 text, each taken to be one column wide.
std::string CutToColumns(const std::string& text, size_t columns) {
  size_t characters = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool begins_character = (static_cast<unsigned char>(text[i]) & 0xC0) != 0x80;
    if (begins_character && ++characters > columns) return text.substr(0, i);
  }
  return text;
}

}  // namespace

std::string FormatSeconds(double seconds) {
  const int64_t s = static_cast<int64_t>(seconds + 0.5);
  if (s < 60) return absl::StrFormat("%ds", s);
  if (s < 3600) return absl::StrFormat("%dm%02ds", s / 60, s % 60);
  return absl::StrFormat("%dh%02dm", s / 3600, s / 60 % 60);
}

std::string StepSummary(int64_t step, int64_t num_steps, const Metrics& metrics,
                        double seconds_left) {
  // What may be cut off on a narrow terminal comes last.
  std::string text =
      absl::StrFormat("step %d/%d · %s left", step + 1, num_steps, FormatSeconds(seconds_left));
  if (metrics.Get("episode/count") > 0) {
    absl::StrAppendFormat(&text, " · reward %.2f · EM %.2f · $%.3g/1k questions · %s",
                          metrics.Get("episode/reward_mean"), metrics.Get("episode/em"),
                          metrics.Get("episode/cost_usd_per_1k"), TopShares(metrics));
  } else {
    absl::StrAppendFormat(&text, " · loss %.4f", metrics.Get("policy/loss"));
  }
  absl::StrAppendFormat(&text, "%s · %s tokens/s", HeldOutText(metrics),
                        FormatRate(metrics.Get("step/tokens_per_s")));
  return text;
}

ProgressStyle ChooseProgressStyle() {
  if (const char* wish = std::getenv("ROUTEWRIGHT_PROGRESS")) {
    return std::string_view(wish) == "bar" ? ProgressStyle::kBar : ProgressStyle::kLines;
  }
  const bool is_under_mpirun = std::getenv("PMIX_RANK") != nullptr;
  return isatty(STDOUT_FILENO) && !is_under_mpirun ? ProgressStyle::kBar : ProgressStyle::kLines;
}

Progress::Progress(ProgressStyle style, int64_t num_steps, std::FILE* out, Clock* clock)
    : style_(style), num_steps_(num_steps), out_(out), clock_(clock) {}

Progress::~Progress() {
  if (is_line_open_) std::fputc('\n', out_);
}

void Progress::ShowCollecting(int64_t step, int num_committed, int num_episodes, int num_workers) {
  if (style_ == ProgressStyle::kLines) {
    if (!IsSilenceNews(num_workers)) return;
    PrintLine(absl::StrFormat("step %d/%d · %d/%d episodes · no worker for %s: waiting for one",
                              std::min(step + 1, num_steps_), num_steps_, num_committed,
                              num_episodes, FormatSeconds(absl::ToDoubleSeconds(kSilenceIsNews))));
    return;
  }
  const std::string waiting =
      num_workers == 0 ? "waiting for a worker"
                       : absl::StrFormat("%d/%d episodes, %d worker%s", num_committed, num_episodes,
                                         num_workers, num_workers == 1 ? "" : "s");
  Redraw(absl::StrCat(Bar(step), " ", last_metrics_.empty() ? "" : last_metrics_ + " · ", waiting));
}

bool Progress::IsSilenceNews(int num_workers) {
  const absl::Time now = clock_->Now();
  if (num_workers > 0 || worker_seen_ == absl::InfiniteFuture()) worker_seen_ = now;
  if (num_workers > 0) is_silence_told_ = false;
  if (is_silence_told_ || now - worker_seen_ < kSilenceIsNews) return false;
  is_silence_told_ = true;
  return true;
}

void Progress::ShowStep(int64_t step, const Metrics& metrics) {
  worker_seen_ = absl::InfiniteFuture();  // an update is no silence
  is_silence_told_ = false;
  recent_step_times_.push_back(metrics.Get("step/time_s"));
  if (recent_step_times_.size() > kTimesKept) recent_step_times_.pop_front();
  const double mean = std::accumulate(recent_step_times_.begin(), recent_step_times_.end(), 0.0) /
                      static_cast<double>(recent_step_times_.size());
  last_metrics_ =
      StepSummary(step, num_steps_, metrics, mean * static_cast<double>(num_steps_ - step - 1));
  if (style_ == ProgressStyle::kBar) {
    Redraw(absl::StrCat(Bar(step + 1), " ", last_metrics_));
  } else {
    PrintLine(last_metrics_);
  }
}

void Progress::ShowEvaluation(const Metrics& metrics) {
  const std::string held_out = HeldOutText(metrics);
  if (held_out.empty()) return;
  if (style_ == ProgressStyle::kBar) {
    Redraw(absl::StrCat(Bar(num_steps_), " ", last_metrics_, held_out));
  } else {
    PrintLine(absl::StrFormat("step %d/%d%s", num_steps_, num_steps_, held_out));
  }
}

std::string Progress::Bar(int64_t steps_done) const {
  const int64_t total = std::max<int64_t>(1, num_steps_);
  const int filled = static_cast<int>(kBarWidth * steps_done / total);
  std::string bar = "[";
  for (int i = 0; i < kBarWidth; ++i) bar += i < filled ? "█" : "░";
  return bar + "]";
}

void Progress::PrintLine(const std::string& line) {
  std::fprintf(out_, "%s\n", line.c_str());
  std::fflush(out_);
}

// Clears the line to its right, so that a shorter text leaves nothing of a longer one.
void Progress::Redraw(const std::string& line) {
  is_line_open_ = true;
  std::fprintf(out_, "\r%s\x1b[K", CutToColumns(line, TerminalColumns() - 1).c_str());
  std::fflush(out_);
}

}  // namespace routewright
