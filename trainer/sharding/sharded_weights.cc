#include "trainer/sharding/sharded_weights.h"

#include <ATen/ops/zeros.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/check.h"
#include "common/status_macros.h"
#include "common/trace.h"

namespace routewright {
namespace {

// Two gathered and two gradient buffers of a transformer block, the most that a pass has at once.
constexpr int kMaxSpares = 4;

// Spares are for the transformer blocks, which are many and alike: not for embedding and head.
int64_t LargestSpare(const std::vector<BlockShard>& shards) {
  int64_t elements = 0;
  for (size_t b = 1; b + 1 < shards.size(); ++b) elements = std::max(elements, shards[b].padded);
  return elements * static_cast<int64_t>(sizeof(float));
}

std::vector<std::string> BlockNames(const ParameterLayout& layout) {
  std::vector<std::string> names;
  for (const BlockLayout& block : layout.blocks()) names.push_back(block.name);
  return names;
}

}  // namespace

ShardedWeights::ShardedWeights(const ParameterLayout& layout, WeightOptions options,
                               const RankGroups* groups)
    : layout_(layout),
      options_(std::move(options)),
      groups_(groups),
      shards_(CutBlocks(layout_, *groups)),
      pool_(LargestSpare(shards_), options_.device.is_cpu() ? kMaxSpares : 0),
      holds_(shards_.size(), 0),
      is_gathering_(shards_.size(), false),
      gathers_(shards_.size()) {
  for (int b = 0; b < num_blocks(); ++b) MakeBlock(b);
  if (!options_.is_trainable) return;
  const ShardingConfig& sharding = options_.sharding;
  const bool is_on_host = sharding.offload() == ShardingConfig::OFFLOAD_ALL;
  const bool is_sharded =
      sharding.stage() >= ShardingConfig::STAGE_GRADIENTS && groups_->shard().size() > 1;
  gradients_ =
      std::make_unique<GradientReducer>(GradientOptions{.name = options_.name,
                                                        .block_names = BlockNames(layout_),
                                                        .device = options_.device,
                                                        .is_sharded = is_sharded || is_on_host,
                                                        .is_on_host = is_on_host},
                                        shards_, groups_, &pool_);
}

bool ShardedWeights::is_on_host() const {
  return options_.sharding.offload() == ShardingConfig::OFFLOAD_ALL ||
         (options_.is_trainable &&
          options_.sharding.offload() == ShardingConfig::OFFLOAD_OPTIMIZER);
}

// A share of everything is no share: a group of one rank keeps whole blocks.
bool ShardedWeights::is_gathered_on_demand() const {
  return options_.sharding.offload() == ShardingConfig::OFFLOAD_ALL ||
         (options_.sharding.stage() == ShardingConfig::STAGE_FULL && groups_->shard().size() > 1);
}

at::Device ShardedWeights::master_device() const {
  return is_on_host() ? at::Device(at::kCPU) : options_.device;
}

at::TensorOptions ShardedWeights::MasterOptions() const {
  return at::device(master_device())
      .dtype(options_.is_trainable ? at::kFloat : options_.compute_type)
      .pinned_memory(is_on_host() && options_.device.is_cuda());
}

// With a version counter of its own: a refill between forward and backward brings the same values,
// which autograd could not know.
at::Tensor ShardedWeights::OwnPart(int block) const {
  return whole_[block].variable_data().narrow(/*dim=*/0, shards_[block].begin,
                                              shards_[block].count);
}

void ShardedWeights::MakeBlock(int block) {
  const at::TensorOptions compute = at::device(options_.device).dtype(options_.compute_type);
  const at::TensorOptions master = MasterOptions();
  if (is_gathered_on_demand()) {
    whole_.push_back(BufferPool::Empty(shards_[block].padded, compute));
    masters_.push_back(at::zeros({shards_[block].count}, master));
    return;
  }
  whole_.push_back(at::zeros({shards_[block].padded}, compute));
  const bool is_shared = master.dtype() == compute.dtype() && master.device() == compute.device();
  masters_.push_back(is_shared ? OwnPart(block) : at::zeros({shards_[block].count}, master));
}

absl::Status ShardedWeights::Load(const TensorSource* weights) {
  RW_RETURN_IF_ERROR(ScatterWeights(absl::StrCat("weights/", options_.name), weights, layout_,
                                    *groups_, masters_));
  return MastersChanged();
}

absl::StatusOr<std::shared_ptr<const PolicyWeights>> ShardedWeights::Export() const {
  return GatherWeights(absl::StrCat("export/", options_.name), layout_, *groups_, masters_);
}

absl::Status ShardedWeights::CopyFrom(const ShardedWeights& other) {
  RW_CHECK(num_blocks() == other.num_blocks()) << options_.name << ", " << other.options_.name;
  for (int b = 0; b < num_blocks(); ++b) masters_[b].copy_(other.masters_[b]);
  return MastersChanged();
}

at::Tensor ShardedWeights::AcquireWeights(int block) {
  if (is_gathered_on_demand() && holds_[block] == 0) {
    if (!is_gathering_[block]) StartGather(block);
    FinishGather(block);
  }
  ++holds_[block];
  return whole_[block].narrow(/*dim=*/0, 0, shards_[block].size);
}

void ShardedWeights::ReleaseWeights(int block) {
  RW_CHECK(holds_[block] > 0) << options_.name << " block " << block << " was not acquired";
  if (--holds_[block] == 0 && is_gathered_on_demand()) pool_.Drop(whole_[block]);
}

void ShardedWeights::PrefetchWeights(int block) {
  if (!options_.sharding.prefetch() || !is_gathered_on_demand()) return;
  if (holds_[block] == 0 && !is_gathering_[block]) StartGather(block);
}

void ShardedWeights::StartGather(int block) {
  pool_.Fill(whole_[block]);
  OwnPart(block).copy_(masters_[block], /*non_blocking=*/true);
  gathers_[block] = GatherFromRanks("gather", block);
  is_gathering_[block] = true;
}

void ShardedWeights::FinishGather(int block) {
  is_gathering_[block] = false;
  const std::unique_ptr<Collective> gather = std::move(gathers_[block]);
  if (gather == nullptr) return;
  const ScopedSpan span("wait for weights");
  const absl::Time start = absl::Now();
  status_.Update(gather->WaitBeforeCompute());
  statistics_.wait += absl::Now() - start;
}

// nullptr: there is nobody to gather from.
std::unique_ptr<Collective> ShardedWeights::GatherFromRanks(const char* kind, int block) {
  if (groups_->shard().size() == 1) return nullptr;
  ++statistics_.gathers;
  statistics_.bytes += (shards_[block].padded - shards_[block].count) *
                       static_cast<int64_t>(whole_[block].element_size());
  return groups_->shard().AllGather(
      absl::StrCat(kind, "/", options_.name, "/", layout_.blocks()[block].name),
      BufferOf(OwnPart(block)), BufferOf(whole_[block]));
}

GradientReducer& ShardedWeights::gradients() {
  RW_CHECK(gradients_ != nullptr) << options_.name << " has no gradients";
  return *gradients_;
}

at::Tensor ShardedWeights::GradientBuffer(int block) { return gradients().Buffer(block); }

void ShardedWeights::GradientReady(int block) { gradients().Ready(block); }

void ShardedWeights::MasterChanged(int block) {
  if (is_gathered_on_demand()) return;  // the next gather reads the masters
  if (!masters_[block].is_alias_of(whole_[block])) OwnPart(block).copy_(masters_[block]);
  if (auto gather = GatherFromRanks("update", block)) changes_.push_back(std::move(gather));
}

absl::Status ShardedWeights::MastersChanged() {
  for (int b = 0; b < num_blocks(); ++b) MasterChanged(b);
  return FinishChanges();
}

absl::Status ShardedWeights::FinishChanges() {
  for (const auto& change : changes_) status_.Update(change->Wait());
  changes_.clear();
  FreeSpares();
  return status_;
}

}  // namespace routewright
