// Tensors whose bytes come and go while the tensor, and every view of it, stays: a gathered block
// is dropped after use and comes back in the same storage, as an autograd graph that refers to it
// requires. Bytes that were dropped are kept for the next buffer of the same length, because fresh
// memory costs the CPU a page fault for every 4 KiB.
// One thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace routewright {

class BufferPool {
 public:
  // Keeps dropped bytes of at most `max_spare_bytes` each, `max_spares` of them at a time.
  BufferPool(int64_t max_spare_bytes, int max_spares)
      : max_spare_bytes_(max_spare_bytes), max_spares_(max_spares) {}

  // A tensor [n] without bytes.
  static at::Tensor Empty(int64_t n, const at::TensorOptions& options);
  static bool HasBytes(const at::Tensor& tensor);

  // Gives the storage of `tensor`, which has none, its bytes: uninitialised.
  void Fill(const at::Tensor& tensor);
  // Takes them back. Nobody may read views of the tensor until the next Fill.
  void Drop(const at::Tensor& tensor);
  // Frees the spare bytes.
  void Clear() { spares_.clear(); }

 private:
  struct Spare {
    size_t num_bytes = 0;
    c10::DataPtr data;
  };
  const int64_t max_spare_bytes_;
  const size_t max_spares_;
  std::vector<Spare> spares_;
};

}  // namespace routewright
