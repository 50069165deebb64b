#include "trainer/sharding/buffer_pool.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <utility>

#include "common/check.h"

namespace routewright {
namespace {

c10::StorageImpl* StorageOf(const at::Tensor& tensor) {
  return tensor.storage().unsafeGetStorageImpl();
}

}  // namespace

at::Tensor BufferPool::Empty(int64_t n, const at::TensorOptions& options) {
  const at::Tensor tensor = at::empty({n}, options);
  StorageOf(tensor)->set_data_ptr_noswap(c10::DataPtr(nullptr, tensor.device()));
  return tensor;
}

bool BufferPool::HasBytes(const at::Tensor& tensor) { return StorageOf(tensor)->data() != nullptr; }

void BufferPool::Fill(const at::Tensor& tensor) {
  c10::StorageImpl* storage = StorageOf(tensor);
  RW_CHECK(storage->data() == nullptr) << "the buffer has bytes already";
  const size_t num_bytes = storage->nbytes();
  const auto spare = std::find_if(spares_.begin(), spares_.end(), [&](const Spare& candidate) {
    return candidate.num_bytes == num_bytes && candidate.data.device() == tensor.device();
  });
  if (spare == spares_.end()) {
    storage->set_data_ptr_noswap(c10::GetAllocator(tensor.device().type())->allocate(num_bytes));
    return;
  }
  storage->set_data_ptr_noswap(std::move(spare->data));
  spares_.erase(spare);
}

void BufferPool::Drop(const at::Tensor& tensor) {
  c10::StorageImpl* storage = StorageOf(tensor);
  c10::DataPtr data = storage->set_data_ptr(c10::DataPtr(nullptr, tensor.device()));
  const auto num_bytes = static_cast<int64_t>(storage->nbytes());
  if (num_bytes > max_spare_bytes_ || spares_.size() >= max_spares_) return;
  spares_.push_back({static_cast<size_t>(num_bytes), std::move(data)});
}

}  // namespace routewright
