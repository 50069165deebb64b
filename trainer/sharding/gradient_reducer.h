// A model's gradients: where the backward of each block adds them, and how they become this rank's
// share of the sum over all ranks. Sums are made in f32.
//
//   stage replicated   whole on every rank; all-reduced once, after the step's last backward
//   stage optimizer    the same, reduce-scattered
//   gradients, full    a whole buffer lives while the backward is in a block; it is reduce-
//                      scattered as the backward leaves, and added to the share, in every backward
//   within_host        shares are then all-reduced between hosts, once a step
//
//   Zero → (forward, backward)… → ReduceFromNowOn → last forward, backward → Finish → gradients(b)
//
// Every rank runs the same sequence, with an empty pass where it has no tokens. One thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "trainer/sharding/buffer_pool.h"
#include "trainer/sharding/rank_groups.h"
#include "trainer/sharding/shards.h"

namespace routewright {

struct GradientOptions {
  std::string name;  // of the model, in the names of collectives
  std::vector<std::string> block_names;
  at::Device device = at::kCPU;
  bool is_sharded = false;  // stages gradients and full
  bool is_on_host = false;  // the shares; implies is_sharded
};

class GradientReducer {
 public:
  // `groups` and `pool` must outlive this object.
  GradientReducer(GradientOptions options, std::vector<BlockShard> shards, const RankGroups* groups,
                  BufferPool* pool);

  // f32 [P] that the backward of `block` adds to.
  at::Tensor Buffer(int block);
  // The backward has left `block` for good: its reduction may start.
  void Ready(int block);

  void Zero();
  // The next backward is the step's last.
  void ReduceFromNowOn();
  // Waits for everything. Fails as the collectives do; the communicator is then unusable.
  absl::Status Finish();

  // f32 [count]: this rank's share, summed over all ranks after Finish.
  at::Tensor gradients(int block) const;
  // Σ over blocks of this rank's own piece of the share (each element of the model is in one
  // rank's piece), f64. Summed over ranks it is the squared norm.
  double SquaredNormOfPiece() const;

 private:
  struct Reduction {
    int block = 0;
    std::unique_ptr<Collective> collective;
  };

  bool sharded_over_ranks() const { return groups_->shard().size() > 1; }
  std::string Name(const char* kind, int block) const;
  void StartReduceScatter(int block);
  void StartAllReduce(int block);
  bool IsReducing(int block) const;
  // Waits for the oldest reduce-scatter, then passes its block's share on.
  void FinishOldest();

  const GradientOptions options_;
  const std::vector<BlockShard> shards_;
  const RankGroups* const groups_;
  BufferPool* const pool_;
  std::vector<at::Tensor> stored_;  // [padded] whole, or [count] if sharded
  std::vector<at::Tensor> whole_;   // [padded] if sharded: bytes only while the backward is there
  bool is_last_ = false;
  std::deque<Reduction> reduce_scatters_;
  std::vector<Reduction> all_reduces_;
  absl::Status status_;  // the first failure since Zero
};

}  // namespace routewright
