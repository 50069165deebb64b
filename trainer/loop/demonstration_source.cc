#include "trainer/loop/demonstration_source.h"

#include "common/status_macros.h"
#include "common/trace.h"

namespace routewright {

absl::StatusOr<std::unique_ptr<DemonstrationSource>> DemonstrationSource::Load(
    const RunConfig& config, const ModelConfig& model) {
  RW_ASSIGN_OR_RETURN(auto demonstrations, Demonstrations::Load(config, model));
  return std::unique_ptr<DemonstrationSource>(
      new DemonstrationSource(config, std::move(demonstrations)));
}

void DemonstrationSource::Save(LearnerState& state) const {
  state.set_question_cursor(demonstrations_->cursor());
  state.set_question_order_digest(demonstrations_->digest());
}

absl::Status DemonstrationSource::Restore(const LearnerState& state) {
  return demonstrations_->Restore(state.question_cursor(), state.question_order_digest());
}

absl::StatusOr<Collected> DemonstrationSource::Collect(int64_t /*step*/, bool /*is_traced*/,
                                                       Progress* /*progress*/) {
  const ScopedSpan span("collect");
  Collected collected;
  collected.batch = demonstrations_->Draw(config_.trainer().questions_per_step());
  return collected;
}

}  // namespace routewright
