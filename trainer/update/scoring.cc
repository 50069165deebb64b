#include "trainer/update/scoring.h"

#include <ATen/ops/from_blob.h>

#include "common/status_macros.h"

namespace routewright {
namespace {

// A copy of the values on `device`.
at::Tensor CopyIntegers(const std::vector<int64_t>& values, at::Device device) {
  return at::from_blob(const_cast<int64_t*>(values.data()), {static_cast<int64_t>(values.size())},
                       at::kLong)
      .to(device, at::kLong, /*non_blocking=*/false, /*copy=*/true);
}

// [N] zeros with each micro-batch's values, as `score` gives them, at their places.
template <typename Score>
std::vector<double> ScoreMine(const Batch& batch, const MicroBatches& mine, at::Device device,
                              const Score& score) {
  std::vector<double> all(batch.num_scored(), 0.0);
  for (const std::vector<int>& places : mine) {
    const MicroBatch micro = BuildMicroBatch(batch, places);
    const std::vector<double> values = ToHost(score(ToDevice(micro, device)));
    for (size_t i = 0; i < values.size(); ++i) all[micro.scored[i]] = values[i];
  }
  return all;
}

}  // namespace

DeviceMicroBatch ToDevice(const MicroBatch& micro, at::Device device) {
  return {.tokens = {.token_ids = CopyIntegers(micro.token_ids, device),
                     .positions = CopyIntegers(micro.positions, device),
                     .offsets = micro.offsets},
          .rows = CopyIntegers(micro.rows, device),
          .targets = CopyIntegers(micro.targets, device)};
}

std::vector<double> ToHost(const at::Tensor& values) {
  const at::Tensor on_host = values.detach().to(at::kCPU, at::kDouble).contiguous();
  const double* data = on_host.const_data_ptr<double>();
  return std::vector<double>(data, data + on_host.numel());
}

at::Tensor ToDevice(std::span<const double> values, at::Device device) {
  return at::from_blob(const_cast<double*>(values.data()), {static_cast<int64_t>(values.size())},
                       at::kDouble)
      .to(device, at::kFloat, /*non_blocking=*/false, /*copy=*/true);
}

absl::Status SumOverRanks(Communicator& communicator, const std::string& name,
                          std::span<double> values) {
  return communicator
      .AllReduceSum(name, {.data = values.data(),
                           .num_elements = static_cast<int64_t>(values.size()),
                           .type = CommType::kFloat64})
      ->Wait();
}

absl::StatusOr<std::vector<double>> ScoreLogprobs(Transformer& policy, const Batch& batch,
                                                  const MicroBatches& mine, double temperature,
                                                  at::Device device, Communicator& communicator,
                                                  const std::string& name) {
  std::vector<double> logprobs = ScoreMine(batch, mine, device, [&](const DeviceMicroBatch& micro) {
    return policy.Forward(micro.tokens, /*with_gradient=*/false)
        ->ScoreTokens(micro.rows, micro.targets, temperature)
        .logprobs;
  });
  RW_RETURN_IF_ERROR(SumOverRanks(communicator, name, logprobs));
  return logprobs;
}

absl::StatusOr<std::vector<double>> ScoreValues(
    const std::function<at::Tensor(const DeviceMicroBatch&)>& values_of, const Batch& batch,
    const MicroBatches& mine, at::Device device, Communicator& communicator) {
  std::vector<double> values = ScoreMine(batch, mine, device, values_of);
  RW_RETURN_IF_ERROR(SumOverRanks(communicator, "values", values));
  return values;
}

}  // namespace routewright
