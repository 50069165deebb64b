#include "trainer/sharding/shards.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/status_macros.h"
#include "trainer/comm/agreement.h"

namespace routewright {
namespace {

std::string BlockName(const std::string& name, const BlockLayout& block) {
  return absl::StrCat(name, "/", block.name);
}

absl::Status CopyTensors(const TensorSource& weights, const BlockLayout& block, float* flat) {
  for (const TensorSlot& slot : block.tensors) {
    RW_ASSIGN_OR_RETURN(const HostTensor tensor, weights(slot));
    std::copy(tensor.values.begin(), tensor.values.end(), flat + slot.offset);
  }
  return absl::OkStatus();
}

// A whole block in f32 on the host from the shares of the shard group.
absl::StatusOr<at::Tensor> GatherBlock(const std::string& name, const BlockShard& shard,
                                       const RankGroups& groups, const at::Tensor& share) {
  at::Tensor whole = at::empty({shard.padded}, share.options().dtype(at::kFloat));
  at::Tensor mine = whole.narrow(0, shard.begin, shard.count);
  mine.copy_(share);
  if (groups.shard().size() > 1) {
    // Collectives are on the ranks' device; shares may be on the host.
    RW_RETURN_IF_ERROR(groups.shard().AllGather(name, BufferOf(mine), BufferOf(whole))->Wait());
  }
  return whole.to(at::kCPU);
}

}  // namespace

std::vector<BlockShard> CutBlocks(const ParameterLayout& layout, const RankGroups& groups) {
  const int64_t world = groups.world().size();
  const int64_t shares = groups.shard().size();
  std::vector<BlockShard> shards;
  for (const BlockLayout& block : layout.blocks()) {
    BlockShard shard;
    shard.size = block.num_elements;
    shard.padded = (shard.size + world - 1) / world * world;
    shard.count = shard.padded / shares;
    shard.begin = groups.shard().rank() * shard.count;
    shards.push_back(shard);
  }
  return shards;
}

CommBuffer BufferOf(const at::Tensor& tensor) {
  RW_CHECK(tensor.is_contiguous()) << "collectives take contiguous tensors";
  CommBuffer buffer{.data = tensor.mutable_data_ptr(),
                    .num_elements = tensor.numel(),
                    .is_on_gpu = tensor.is_cuda()};
  switch (tensor.scalar_type()) {
    case at::kFloat:
      buffer.type = CommType::kFloat32;
      return buffer;
    case at::kDouble:
      buffer.type = CommType::kFloat64;
      return buffer;
    case at::kLong:
      buffer.type = CommType::kInt64;
      return buffer;
    case at::kBFloat16:
      buffer.type = CommType::kByte;
      buffer.num_elements *= 2;
      return buffer;
    default:
      RW_CHECK(false) << "no collective takes this type";
      return buffer;
  }
}

absl::Status ScatterWeights(const std::string& name, const TensorSource* weights,
                            const ParameterLayout& layout, const RankGroups& groups,
                            const std::vector<at::Tensor>& shares) {
  RW_CHECK((weights != nullptr) == (groups.world().rank() == 0)) << name << ": rank 0 scatters";
  const std::vector<BlockShard> shards = CutBlocks(layout, groups);
  for (size_t b = 0; b < shards.size(); ++b) {
    const at::Tensor whole = at::zeros({shards[b].padded}, at::kFloat);
    absl::Status status;
    if (weights != nullptr) {
      status = CopyTensors(*weights, layout.blocks()[b], whole.mutable_data_ptr<float>());
    }
    RW_RETURN_IF_ERROR(AgreeOnStatus(groups.world(), BlockName(name, layout.blocks()[b]), status));
    RW_RETURN_IF_ERROR(
        groups.world()
            .Broadcast(BlockName(name, layout.blocks()[b]), BufferOf(whole), /*root=*/0)
            ->Wait());
    shares[b].copy_(whole.narrow(0, shards[b].begin, shards[b].count));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const PolicyWeights>> GatherWeights(
    const std::string& name, const ParameterLayout& layout, const RankGroups& groups,
    const std::vector<at::Tensor>& shares) {
  const std::vector<BlockShard> shards = CutBlocks(layout, groups);
  const bool is_root = groups.world().rank() == 0;
  if (groups.shard().size() == 1 && !is_root) return nullptr;  // rank 0 holds everything
  std::map<std::string, HostTensor> tensors;
  for (size_t b = 0; b < shards.size(); ++b) {
    const BlockLayout& block = layout.blocks()[b];
    RW_ASSIGN_OR_RETURN(const at::Tensor whole,
                        GatherBlock(BlockName(name, block), shards[b], groups, shares[b]));
    const float* data = whole.const_data_ptr<float>();
    for (const TensorSlot& slot : block.tensors) {
      if (!is_root) break;
      const float* first = data + slot.offset;
      tensors[slot.name] = HostTensor{slot.shape, {first, first + slot.num_elements}};
    }
  }
  if (!is_root) return nullptr;
  return std::make_shared<const PolicyWeights>(std::move(tensors));
}

}  // namespace routewright
