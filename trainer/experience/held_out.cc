#include "trainer/experience/held_out.h"

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/absl_view.h"
#include "common/config/config_digest.h"
#include "common/config/config_loader.h"
#include "common/dataset.h"
#include "common/random.h"
#include "common/status_macros.h"

namespace routewright {
namespace {

constexpr std::string_view kPrefix = "evaluation/";

}  // namespace

absl::StatusOr<HeldOut> HeldOut::Load(const RunConfig& config) {
  HeldOut held_out;
  held_out.every_ = config.trainer().evaluate_every();
  if (held_out.every_ == 0) return held_out;
  RW_ASSIGN_OR_RETURN(std::vector<Question> all, LoadDatasets(config.data().held_out()));
  held_out.questions_ =
      DrawEvenly(std::move(all), static_cast<size_t>(config.trainer().evaluate_questions()));
  RW_ASSIGN_OR_RETURN(const uint64_t worker_digest, WorkerConfigDigest(config));
  std::string settings = absl::StrCat(worker_digest, "\n", ConfigToYaml(config.reward()), "\n",
                                      config.evaluation().temperature());
  for (const Question& question : held_out.questions_) {
    absl::StrAppend(&settings, "\n", question.SerializeAsString());
  }
  held_out.settings_digest_ = StreamKey(0, settings, 0);
  return held_out;
}

bool HeldOut::IsDueIn(int64_t step) const {
  return every_ > 0 && step % every_ == 0 && !IsDone(step);
}

bool HeldOut::IsDone(int64_t step) const {
  return every_ > 0 && std::any_of(results_.begin(), results_.end(), [&](const auto& result) {
           return result.step() == step && result.settings_digest() == settings_digest_;
         });
}

void HeldOut::Record(int64_t step, const Metrics& metrics) {
  if (metrics.Get("evaluation/count") <= 0) return;
  const auto same_step = std::find_if(results_.begin(), results_.end(), [&](const auto& result) {
    return result.step() == step;  // under other settings
  });
  EvaluationResult& result = same_step != results_.end() ? *same_step : *results_.Add();
  result.Clear();
  result.set_step(step);
  result.set_settings_digest(settings_digest_);
  for (const auto& [name, value] : metrics.values()) {
    if (name.starts_with(kPrefix)) {
      (*result.mutable_metrics())[name.substr(kPrefix.size())] = value;
    }
  }
}

Metrics HeldOut::MetricsOf(int64_t step) const {
  Metrics metrics;
  for (const EvaluationResult& result : results_) {
    if (result.step() != step) continue;
    const std::map<std::string, double> by_name(result.metrics().begin(), result.metrics().end());
    for (const auto& [name, value] : by_name)
      metrics.Set(absl::StrCat(AbslView(kPrefix), name), value);
  }
  return metrics;
}

}  // namespace routewright
