// The part that a rank puts into a checkpoint of a tensor that lies over the ranks as a model's
// masters do, and the way back. One thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "absl/status/status.h"
#include "trainer/checkpoint/checkpoint_reader.h"
#include "trainer/checkpoint/state_share.h"
#include "trainer/sharding/sharded_weights.h"
#include "trainer/update/host_copy.h"

namespace routewright {

// Of this rank's share [count] of a block of `weights`: as much as any other rank saves of the
// block. Replicas of a share divide it among themselves. Valid as `copy` says.
BlockPart PartToSave(const ShardedWeights& weights, int block, const at::Tensor& share,
                     HostCopy& copy);

// Fills this rank's share of a block of `weights` with the values of the model `name`; the padding
// is left as it is. Fails as the reader does.
absl::Status ReadShare(const CheckpointReader& checkpoint, const std::string& name, StateKind kind,
                       const ShardedWeights& weights, int block, const at::Tensor& share);

}  // namespace routewright
