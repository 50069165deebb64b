// The batches of a training on demonstrations (algorithm: supervised). Rank 0, one thread.
#pragma once

#include <memory>

#include "policy/model/model_config.h"
#include "proto/config.pb.h"
#include "trainer/experience/demonstrations.h"
#include "trainer/loop/batch_source.h"

namespace routewright {

class DemonstrationSource final : public BatchSource {
 public:
  // `config` must outlive the source. Fails as Demonstrations::Load does.
  static absl::StatusOr<std::unique_ptr<DemonstrationSource>> Load(const RunConfig& config,
                                                                   const ModelConfig& model);

  void Save(LearnerState& state) const override;
  absl::Status Restore(const LearnerState& state) override;
  absl::StatusOr<Collected> Collect(int64_t step, bool is_traced, Progress* progress) override;

 private:
  DemonstrationSource(const RunConfig& config, std::unique_ptr<Demonstrations> demonstrations)
      : config_(config), demonstrations_(std::move(demonstrations)) {}

  const RunConfig& config_;
  const std::unique_ptr<Demonstrations> demonstrations_;
};

}  // namespace routewright
