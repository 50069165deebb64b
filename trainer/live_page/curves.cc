#include "trainer/live_page/curves.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

namespace routewright {

void Curves::Add(int64_t step, const Metrics& metrics, bool replaces_newest) {
  // A row off the grid was there as the newest only.
  if (replaces_newest && !rows_.empty() && rows_.back().step % stride_ != 0) rows_.pop_back();
  Row row{step, std::vector<double>(names_.size(), std::nan(""))};
  for (const auto& [name, value] : metrics.values()) {
    if (names_.size() >= kMaxNames && !indices_.contains(name)) continue;
    const auto [entry, is_new] = indices_.try_emplace(name, names_.size());
    if (is_new) {
      names_.push_back(name);
      row.values.push_back(std::nan(""));
    }
    row.values[entry->second] = value;
  }
  rows_.push_back(std::move(row));
  if (rows_.size() > max_rows_) Thin();
}

void Curves::Thin() {
  ++generation_;
  while (rows_.size() > max_rows_) {
    stride_ *= 2;
    const int64_t newest = rows_.back().step;
    std::erase_if(rows_,
                  [&](const Row& row) { return row.step % stride_ != 0 && row.step != newest; });
  }
}

nlohmann::ordered_json Curves::Rows(int64_t since, int64_t until, size_t limit) const {
  const auto after = [&](int64_t bound) {
    return std::upper_bound(rows_.begin(), rows_.end(), bound,
                            [](int64_t step, const Row& row) { return step < row.step; });
  };
  const auto first = after(since);
  const size_t available = static_cast<size_t>(std::max<std::ptrdiff_t>(0, after(until) - first));
  const auto end = first + static_cast<std::ptrdiff_t>(std::min(limit, available));
  nlohmann::ordered_json json = {{"steps", nlohmann::ordered_json::array()},
                                 {"metrics", nlohmann::ordered_json::object()},
                                 {"more", available > limit}};
  for (auto row = first; row != end; ++row) json["steps"].push_back(row->step);
  for (size_t index = 0; index < names_.size(); ++index) {
    auto& values = json["metrics"][names_[index]] = nlohmann::ordered_json::array();
    for (auto row = first; row != end; ++row) {
      const bool is_there = index < row->values.size() && std::isfinite(row->values[index]);
      values.push_back(is_there ? nlohmann::ordered_json(row->values[index])
                                : nlohmann::ordered_json(nullptr));
    }
  }
  return json;
}

void RunCurves::Add(int64_t step, const Metrics& metrics) {
  Metrics training, evaluation;
  for (const auto& [name, value] : metrics.values()) {
    (name.starts_with("evaluation/") ? evaluation : training).Set(name, value);
  }
  steps_.Add(step, training, /*replaces_newest=*/AreOfStep(metrics));
  if (!evaluation.values().empty()) evaluations_.Add(step, evaluation);
}

}  // namespace routewright
