// A run's metrics, step by step, in bounded memory: of a long run every n-th step is kept.
// Metrics of the held-out evaluation, which few steps have, are kept apart so that thinning
// spares them. Not thread-safe.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "trainer/record/metrics.h"

namespace routewright {

// Rows of named numbers; those whose step is a multiple of the stride, which doubles when
// there would be more than `max_rows`. Between the last of them and now nothing is lost: the
// newest row is always there.
class Curves {
 public:
  static constexpr size_t kMaxNames = 512;  // later ones are left out
  explicit Curves(size_t max_rows) : max_rows_(max_rows) {}

  // Steps go up. A row between the steps that are kept gives way to the next,
  // unless that is no step's.
  void Add(int64_t step, const Metrics& metrics, bool replaces_newest = true);

  size_t num_rows() const { return rows_.size(); }
  int64_t stride() const { return stride_; }
  // Counts the times that rows were dropped: a reader that has an older one must begin again.
  int64_t generation() const { return generation_; }
  int64_t last_step() const { return rows_.empty() ? -1 : rows_.back().step; }

  // {"steps":[…],"metrics":{"episode/em":[…]},"more":…}: the first `limit` rows of the steps in
  // (since, until]; null: a step without the metric.
  nlohmann::ordered_json Rows(int64_t since, int64_t until, size_t limit) const;

 private:
  struct Row {
    int64_t step = 0;
    std::vector<double> values;  // by the name's index; shorter if later names are missing
  };
  void Thin();

  const size_t max_rows_;
  int64_t stride_ = 1, generation_ = 0;
  std::vector<std::string> names_;
  absl::flat_hash_map<std::string, size_t> indices_;
  std::vector<Row> rows_;
};

// Curves of a run: training steps and evaluations.
class RunCurves {
 public:
  static constexpr size_t kMaxRows = 2000;
  explicit RunCurves(size_t max_rows = kMaxRows) : steps_(max_rows), evaluations_(max_rows) {}

  void Add(int64_t step, const Metrics& metrics);
  const Curves& steps() const { return steps_; }
  const Curves& evaluations() const { return evaluations_; }

 private:
  Curves steps_, evaluations_;
};

}  // namespace routewright
