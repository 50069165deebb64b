// What rank 0 tells the other ranks, one message at a time: learn from this batch, give your share
// of the weights, write it, wait on, or stop. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "trainer/experience/batch.h"

namespace routewright {

struct StepMessage {
  enum class Kind : uint8_t {
    kWait = 1,       // rank 0 is alive and still collecting: keep waiting
    kUpdate = 2,     // learn from `batch`
    kStop = 3,       // the run is over
    kExport = 4,     // give rank 0 your share of the policy
    kSave = 5,       // begin to write your share of a checkpoint
    kCheckSave = 6,  // say how writing goes
    kTrace = 7,      // give rank 0 what you recorded of the step
  };
  Kind kind = Kind::kWait;
  int64_t step = 0;
  double kl_coefficient = 0.0;
  bool is_preempted = false;  // kStop: by a signal; the run can be resumed
  bool is_traced = false;     // kUpdate: record where the time goes, until kTrace
  Batch batch;
};

std::string SerializeStepMessage(const StepMessage& message);
// Fails: kDataLoss.
absl::StatusOr<StepMessage> ParseStepMessage(std::string_view bytes);

}  // namespace routewright
