// A rank's share of the training state in host memory, while a checkpoint is written from
// it. The memory is kept from one save to the next, so that a later one costs a copy and no
// page faults. One thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <span>
#include <vector>

namespace routewright {

class HostCopy {
 public:
  // kBorrow: no f32 values are copied that are in host memory already; the tensors must then stay as they
  // are until the checkpoint is written.
  enum class Mode { kCopy, kBorrow };
  explicit HostCopy(Mode mode) : mode_(mode) {}

  // The copies before are no longer in use. Tensors then come in the same order, in the same sizes.
  void Restart() { next_ = 0; }
  // A contiguous tensor's values as f32, until the next Restart.
  std::span<const float> Take(const at::Tensor& tensor);

 private:
  const Mode mode_;
  std::vector<at::Tensor> copies_;
  size_t next_ = 0;
};

}  // namespace routewright
