#include "trainer/sharding/gradient_reducer.h"

#include <ATen/ops/zeros.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/trace.h"
#include "trainer/sharding/adamw.h"

namespace routewright {
namespace {

// Whole gradients of blocks that the backward has left and that are not reduced yet.
constexpr size_t kMaxInFlight = 1;

}  // namespace

GradientReducer::GradientReducer(GradientOptions options, std::vector<BlockShard> shards,
                                 const RankGroups* groups, BufferPool* pool)
    : options_(std::move(options)), shards_(std::move(shards)), groups_(groups), pool_(pool) {
  RW_CHECK(options_.is_sharded || !options_.is_on_host) << "whole gradients stay on the device";
  const at::TensorOptions on_device = at::device(options_.device).dtype(at::kFloat);
  for (const BlockShard& shard : shards_) {
    if (!options_.is_sharded) {
      stored_.push_back(at::zeros({shard.padded}, on_device));
      continue;
    }
    const at::TensorOptions where =
        options_.is_on_host
            ? at::device(at::kCPU).dtype(at::kFloat).pinned_memory(options_.device.is_cuda())
            : on_device;
    stored_.push_back(at::zeros({shard.count}, where));
    whole_.push_back(BufferPool::Empty(shard.padded, on_device));
  }
}

at::Tensor GradientReducer::Buffer(int block) {
  const at::Tensor& whole = options_.is_sharded ? whole_[block] : stored_[block];
  while (IsReducing(block)) FinishOldest();  // the last backward's
  if (options_.is_sharded && !BufferPool::HasBytes(whole)) {
    pool_->Fill(whole);
    whole.zero_();
  }
  return whole.narrow(/*dim=*/0, 0, shards_[block].size);
}

void GradientReducer::Ready(int block) {
  if (options_.is_sharded) {
    Buffer(block);  // zeros, if nothing was added
    StartReduceScatter(block);
    while (reduce_scatters_.size() > kMaxInFlight) FinishOldest();
    return;
  }
  if (!is_last_) return;
  if (sharded_over_ranks()) {
    StartReduceScatter(block);
  } else {
    StartAllReduce(block);
  }
}

void GradientReducer::Zero() {
  for (const at::Tensor& gradient : stored_) gradient.zero_();
  is_last_ = false;
  status_ = absl::OkStatus();
}

void GradientReducer::ReduceFromNowOn() {
  RW_CHECK(!is_last_) << options_.name << ": the last reduction was not finished";
  while (!reduce_scatters_.empty()) FinishOldest();
  is_last_ = true;
}

absl::Status GradientReducer::Finish() {
  RW_CHECK(is_last_) << options_.name << ": no reduction was begun";
  const ScopedSpan span("wait for gradients");
  while (!reduce_scatters_.empty()) FinishOldest();
  for (const Reduction& reduction : all_reduces_) status_.Update(reduction.collective->Wait());
  all_reduces_.clear();
  is_last_ = false;
  return status_;
}

std::string GradientReducer::Name(const char* kind, int block) const {
  return absl::StrCat(kind, "/", options_.name, "/", options_.block_names[block]);
}

void GradientReducer::StartReduceScatter(int block) {
  const at::Tensor& whole = options_.is_sharded ? whole_[block] : stored_[block];
  const at::Tensor mine = whole.narrow(0, shards_[block].begin, shards_[block].count);
  Reduction reduction{.block = block, .collective = nullptr};
  if (sharded_over_ranks()) {
    reduction.collective = groups_->shard().ReduceScatterSum(Name("reduce_gradient", block),
                                                             BufferOf(whole), BufferOf(mine));
  }
  reduce_scatters_.push_back(std::move(reduction));
}

void GradientReducer::FinishOldest() {
  const Reduction reduction = std::move(reduce_scatters_.front());
  reduce_scatters_.pop_front();
  const int block = reduction.block;
  if (reduction.collective != nullptr) {
    status_.Update(options_.is_on_host ? reduction.collective->Wait()
                                       : reduction.collective->WaitBeforeCompute());
  }
  if (options_.is_sharded) {
    stored_[block].add_(whole_[block]
                            .narrow(0, shards_[block].begin, shards_[block].count)
                            .to(stored_[block].device()));
    pool_->Drop(whole_[block]);
  }
  if (is_last_) StartAllReduce(block);
}

bool GradientReducer::IsReducing(int block) const {
  return std::any_of(reduce_scatters_.begin(), reduce_scatters_.end(),
                     [&](const Reduction& reduction) { return reduction.block == block; });
}

// Between the ranks that hold the same share.
void GradientReducer::StartAllReduce(int block) {
  if (groups_->replica().size() == 1) return;
  all_reduces_.push_back({block, groups_->replica().AllReduceSum(Name("gradient", block),
                                                                 BufferOf(gradients(block)))});
}

at::Tensor GradientReducer::gradients(int block) const {
  if (options_.is_sharded) return stored_[block];
  return stored_[block].narrow(0, shards_[block].begin, shards_[block].count);
}

double GradientReducer::SquaredNormOfPiece() const {
  double sum = 0.0;
  for (size_t b = 0; b < shards_.size(); ++b) {
    const int64_t piece = shards_[b].count / groups_->replica().size();
    sum += SquaredNorm(
        gradients(static_cast<int>(b)).narrow(0, groups_->replica().rank() * piece, piece));
  }
  return sum;
}

}  // namespace routewright
