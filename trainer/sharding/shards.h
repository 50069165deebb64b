// How a model's flat blocks are cut over the ranks, and how whole named tensors become shares and
// come back. A block of P elements is padded to a multiple of the world's size, so that every cut
// at any stage falls on the same places: sums made piece by piece then have the same bits.
//
//   block   [0 …………………………………………… P) padding      share of shard rank s: [s, s + 1) · padded / S
// One thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "policy/formats/tensor_source.h"
#include "policy/model/parameter_layout.h"
#include "policy/model/policy_weights.h"
#include "trainer/comm/communicator.h"
#include "trainer/sharding/rank_groups.h"

namespace routewright {

// This rank's share of one block: elements [begin, begin + count) of `padded`.
struct BlockShard {
  int64_t size = 0;    // P
  int64_t padded = 0;  // ≥ P, a multiple of the world's size
  int64_t begin = 0;
  int64_t count = 0;  // padded / S, the same on every rank
};
std::vector<BlockShard> CutBlocks(const ParameterLayout& layout, const RankGroups& groups);

// A contiguous f32, f64, int64 or bf16 tensor as a collective takes it; bf16 crosses as
// bytes and cannot be summed.
CommBuffer BufferOf(const at::Tensor& tensor);

// Rank 0's tensors to every rank's shares, a block in memory at a time. Collective.
//   weights  on rank 0 every tensor of the layout; elsewhere nullptr
//   shares   one per block, [count], any floating type and device
// Fails on every rank as the source does on rank 0; as the collectives do. `name` names them.
absl::Status ScatterWeights(const std::string& name, const TensorSource* weights,
                            const ParameterLayout& layout, const RankGroups& groups,
                            const std::vector<at::Tensor>& shares);

// The way back. Collective; nullptr but on rank 0.
absl::StatusOr<std::shared_ptr<const PolicyWeights>> GatherWeights(
    const std::string& name, const ParameterLayout& layout, const RankGroups& groups,
    const std::vector<at::Tensor>& shares);

}  // namespace routewright
