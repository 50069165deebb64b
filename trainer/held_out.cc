#include "trainer/held_out.h"

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/absl_view.h"
#include "common/dataset.h"
#include "common/status_macros.h"
#include "trainer/question_source.h"

namespace switchyard {
namespace {

constexpr std::string_view kPrefix = "evaluation/";

}  // namespace

absl::StatusOr<HeldOut> HeldOut::Load(const RunConfig& config) {
  HeldOut held_out;
  held_out.every_ = config.trainer().evaluate_every();
  if (held_out.every_ == 0) return held_out;
  SY_ASSIGN_OR_RETURN(std::vector<Question> all, LoadDatasets(config.data().held_out()));
  const size_t count = std::min<size_t>(config.trainer().evaluate_questions(), all.size());
  held_out.questions_ =
      QuestionSource(std::move(all), config.run().seed()).Draw(static_cast<int>(count));
  return held_out;
}

bool HeldOut::IsDueIn(int64_t step) const {
  return every_ > 0 && step % every_ == 0 && FiguresOf(step).values().empty();
}

void HeldOut::Record(int64_t step, const Metrics& metrics) {
  if (metrics.Get("evaluation/count") <= 0) return;
  EvaluationResult result;
  result.set_step(step);
  for (const auto& [name, value] : metrics.values()) {
    if (name.starts_with(kPrefix)) {
      (*result.mutable_figures())[name.substr(kPrefix.size())] = value;
    }
  }
  *results_.Add() = std::move(result);
}

Metrics HeldOut::FiguresOf(int64_t step) const {
  Metrics metrics;
  for (const EvaluationResult& result : results_) {
    if (result.step() != step) continue;
    const std::map<std::string, double> by_name(result.figures().begin(), result.figures().end());
    for (const auto& [name, value] : by_name)
      metrics.Set(absl::StrCat(AbslView(kPrefix), name), value);
  }
  return metrics;
}

}  // namespace switchyard
