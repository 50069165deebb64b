#include "trainer/checkpoint/checkpoint_store.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "common/log.h"
#include "common/status_macros.h"

namespace routewright {
namespace {

constexpr char kStepPrefix[] = "step-";

const char* MetricOf(CheckpointConfig::BestMetric metric) {
  switch (metric) {
    case CheckpointConfig::BEST_METRIC_F1:
      return "f1";
    case CheckpointConfig::BEST_METRIC_REWARD_MEAN:
      return "reward_mean";
    default:
      return "em";
  }
}

}  // namespace

CheckpointStore::CheckpointStore(FileSystem& files, std::string folder, CheckpointConfig config)
    : files_(files), folder_(std::move(folder)), config_(std::move(config)) {}

std::string CheckpointStore::FolderOf(int64_t step) const {
  return absl::StrFormat("%s/%s%06d", folder_, kStepPrefix, step);
}

std::string CheckpointStore::FolderAside(int64_t step) const {
  return absl::StrFormat("%s/.%s%06d.partial", folder_, kStepPrefix, step);
}

absl::StatusOr<std::vector<int64_t>> CheckpointStore::Steps() const {
  std::vector<int64_t> steps;
  if (!files_.Exists(folder_)) return steps;
  RW_ASSIGN_OR_RETURN(const std::vector<std::string> names, files_.List(folder_));
  for (const std::string& name : names) {
    absl::string_view number = name;
    int64_t step = 0;
    if (absl::ConsumePrefix(&number, kStepPrefix) && absl::SimpleAtoi(number, &step)) {
      steps.push_back(step);
    }
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

absl::Status CheckpointStore::RemoveUnfinished() {
  if (!files_.Exists(folder_)) return absl::OkStatus();
  RW_ASSIGN_OR_RETURN(const std::vector<std::string> names, files_.List(folder_));
  for (const std::string& name : names) {
    if (!absl::StartsWith(name, ".step-") || !absl::EndsWith(name, ".partial")) continue;
    RW_RETURN_IF_ERROR(files_.RemoveAll(absl::StrCat(folder_, "/", name)));
  }
  return absl::OkStatus();
}

absl::Status CheckpointStore::Commit(int64_t step) {
  const std::string target = FolderOf(step);
  // A checkpoint of the same step can only be one that was not resumed from.
  if (files_.Exists(target)) RW_RETURN_IF_ERROR(Remove(step));
  RW_RETURN_IF_ERROR(files_.Rename(FolderAside(step), target));
  return files_.SyncFolder(folder_);
}

absl::Status CheckpointStore::Prune(const LearnerState& learner) {
  RW_ASSIGN_OR_RETURN(const std::vector<int64_t> steps, Steps());
  const std::vector<int64_t> kept = StepsToKeep(config_, steps, learner);
  for (int64_t step : steps) {
    if (std::binary_search(kept.begin(), kept.end(), step)) continue;
    RW_RETURN_IF_ERROR(Remove(step));
  }
  return absl::OkStatus();
}

absl::Status CheckpointStore::Remove(int64_t step) {
  const std::string aside = absl::StrFormat("%s/.%s%06d.old.partial", folder_, kStepPrefix, step);
  RW_RETURN_IF_ERROR(files_.RemoveAll(aside));
  RW_RETURN_IF_ERROR(files_.Rename(FolderOf(step), aside));
  return files_.RemoveAll(aside);
}

absl::Status CheckpointStore::PutAside(int64_t step, const char* why) {
  const std::string aside = absl::StrFormat("%s/%s-%s%06d", folder_, why, kStepPrefix, step);
  RW_RETURN_IF_ERROR(files_.RemoveAll(aside));
  return files_.Rename(FolderOf(step), aside);
}

absl::Status CheckpointStore::PutAsideDamaged(int64_t step, const absl::Status& why) {
  LogError("checkpoint=", FolderOf(step), " | DAMAGED, not used: ", std::string(why.message()),
           "; trying the one before it");
  return PutAside(step, "damaged");
}

absl::Status CheckpointStore::PutAsideLaterThan(int64_t step) {
  RW_ASSIGN_OR_RETURN(const std::vector<int64_t> steps, Steps());
  for (int64_t later : steps) {
    if (later > step) RW_RETURN_IF_ERROR(PutAside(later, "abandoned"));
  }
  return absl::OkStatus();
}

std::vector<int64_t> StepsToKeep(const CheckpointConfig& config, const std::vector<int64_t>& steps,
                                 const LearnerState& learner) {
  std::set<int64_t> kept;
  const auto last = static_cast<size_t>(config.keep_last());
  kept.insert(steps.end() - std::min(last, steps.size()), steps.end());
  // Of the checkpoints that are there. Scores under other settings can't be compared: each settings has its best ones.
  std::map<uint64_t, std::vector<std::pair<double, int64_t>>> by_settings;
  for (const EvaluationResult& result : learner.evaluations()) {
    const auto metric = result.metrics().find(MetricOf(config.best_metric()));
    const bool is_there = std::binary_search(steps.begin(), steps.end(), result.step());
    if (is_there && metric != result.metrics().end()) {
      by_settings[result.settings_digest()].emplace_back(metric->second, result.step());
    }
  }
  for (auto& [settings, evaluated] : by_settings) {
    std::sort(evaluated.rbegin(), evaluated.rend());  // of equals the later one
    const auto best = static_cast<size_t>(config.keep_best());
    for (size_t i = 0; i < std::min(best, evaluated.size()); ++i) kept.insert(evaluated[i].second);
  }
  for (int64_t step : steps) {
    if (config.keep_every_steps() > 0 && step % config.keep_every_steps() == 0) kept.insert(step);
  }
  return {kept.begin(), kept.end()};
}

}  // namespace routewright
