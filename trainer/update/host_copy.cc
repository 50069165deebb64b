#include "trainer/update/host_copy.h"

#include <ATen/ops/empty.h>

#include "common/check.h"

namespace routewright {

std::span<const float> HostCopy::Take(const at::Tensor& tensor) {
  RW_CHECK(tensor.is_contiguous()) << "contiguous";
  const auto values = [](const at::Tensor& on_host) {
    return std::span(on_host.const_data_ptr<float>(), static_cast<size_t>(on_host.numel()));
  };
  const bool is_as_saved = tensor.is_cpu() && tensor.scalar_type() == at::kFloat;
  if (mode_ == Mode::kBorrow && is_as_saved) return values(tensor);
  if (next_ == copies_.size()) {
    copies_.push_back(at::empty(
        tensor.sizes(), at::TensorOptions().dtype(at::kFloat).pinned_memory(tensor.is_cuda())));
  }
  at::Tensor& copy = copies_[next_++];
  RW_CHECK(copy.sizes() == tensor.sizes()) << "the tensors of a save come in one order";
  copy.copy_(tensor);
  return values(copy);
}

}  // namespace routewright
