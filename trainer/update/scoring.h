// Runs a batch's micro-batches through a model without learning from them: log-probabilities under
// the reference policy or the policy before its update, values of the critic. Each rank runs its
// share (an empty micro-batch is a pass too: its gathers need every rank); a sum over ranks
// (everyone else's places are 0) puts the whole [N] array on every rank. One thread.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "policy/transformer/transformer.h"
#include "trainer/comm/communicator.h"
#include "trainer/experience/batch.h"
#include "trainer/experience/packing.h"

namespace routewright {

// A micro-batch's arrays as the transformer takes them, on `device`.
struct DeviceMicroBatch {
  PackedTokens tokens;
  at::Tensor rows;     // [n] int64
  at::Tensor targets;  // [n] int64
};
DeviceMicroBatch ToDevice(const MicroBatch& micro, at::Device device);

// [n] f32 on any device ↔ [n] f64 on the host.
std::vector<double> ToHost(const at::Tensor& values);
at::Tensor ToDevice(std::span<const double> values, at::Device device);

// In place, over all ranks, in rank order. Fails as the collective does.
absl::Status SumOverRanks(Communicator& communicator, const std::string& name,
                          std::span<double> values);

// [N] on every rank. `name` names the collective.
absl::StatusOr<std::vector<double>> ScoreLogprobs(Transformer& policy, const Batch& batch,
                                                  const MicroBatches& mine, double temperature,
                                                  at::Device device, Communicator& communicator,
                                                  const std::string& name);
// `values_of` gives a micro-batch's values, [n] f32.
absl::StatusOr<std::vector<double>> ScoreValues(
    const std::function<at::Tensor(const DeviceMicroBatch&)>& values_of, const Batch& batch,
    const MicroBatches& mine, at::Device device, Communicator& communicator);

}  // namespace routewright
