#include "trainer/update/saved_part.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "common/status_macros.h"
#include "kernels/parallel_for.h"

namespace routewright {
namespace {

// CheckpointReader::Read, cut into pieces for as many threads as LibTorch has.
absl::Status ReadByThreads(const CheckpointReader& checkpoint, const std::string& name,
                           StateKind kind, int block, int64_t begin, std::span<float> out) {
  constexpr int64_t kPieceElements = 1 << 20;
  const auto size = static_cast<int64_t>(out.size());
  absl::Mutex mutex;
  absl::Status status;
  // Not at::parallel_for: an inline template, which is serial in what is compiled without OpenMP.
  ParallelFor((size + kPieceElements - 1) / kPieceElements, at::get_num_threads(), [&](int64_t i) {
    const int64_t first = i * kPieceElements, count = std::min(kPieceElements, size - first);
    absl::Status piece =
        checkpoint.Read(name, kind, block, begin + first, out.subspan(first, count));
    if (piece.ok()) return;
    const absl::MutexLock lock(&mutex);
    status.Update(std::move(piece));
  });
  return status;
}

}  // namespace

BlockPart PartToSave(const ShardedWeights& weights, int block, const at::Tensor& share,
                     HostCopy& copy) {
  const Communicator& replica = weights.groups().replica();
  const BlockShard& shard = weights.shards()[block];
  const int64_t count = shard.count / replica.size();
  const int64_t begin = shard.begin + replica.rank() * count;
  const int64_t end = std::min(begin + count, shard.size);  // no padding
  if (begin >= end) return {};
  return {begin, copy.Take(share.narrow(/*dim=*/0, begin - shard.begin, end - begin))};
}

absl::Status ReadShare(const CheckpointReader& checkpoint, const std::string& name, StateKind kind,
                       const ShardedWeights& weights, int block, const at::Tensor& share) {
  const BlockShard& shard = weights.shards()[block];
  const int64_t count = std::min(shard.count, shard.size - shard.begin);  // no padding
  if (count <= 0) return absl::OkStatus();
  const at::Tensor part = share.narrow(/*dim=*/0, 0, count);
  const bool is_read_in_place = part.is_cpu() && part.scalar_type() == at::kFloat;
  const at::Tensor on_host = is_read_in_place ? part : at::empty({count}, at::kFloat);
  RW_RETURN_IF_ERROR(
      ReadByThreads(checkpoint, name, kind, block, shard.begin,
                    {on_host.mutable_data_ptr<float>(), static_cast<size_t>(count)}));
  if (!is_read_in_place) part.copy_(on_host);
  return absl::OkStatus();
}

}  // namespace routewright
