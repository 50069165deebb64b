// Counts the bytes that LibTorch holds on the CPU: now, and at most since ResetPeak. Not counted:
// scratch of the linear algebra library (some MiB, once) and memory that is not a tensor's.
// Install() before the first tensor. Any thread.
#pragma once

#include <c10/core/Allocator.h>
#include <c10/core/impl/alloc_cpu.h>

#include <atomic>
#include <cstdint>
#include <cstring>

namespace routewright {

class CountingAllocator final : public c10::Allocator {
 public:
  static CountingAllocator& Install() {
    static CountingAllocator* const allocator = [] {
      auto* made = new CountingAllocator;  // tensors may outlive everything: never freed
      c10::SetAllocator(c10::DeviceType::CPU, made, /*priority=*/1);
      return made;
    }();
    return *allocator;
  }

  int64_t current() const { return current_; }
  int64_t peak() const { return peak_; }
  void ResetPeak() { peak_ = current_.load(); }

  c10::DataPtr allocate(size_t n) override {
    if (n == 0) return {nullptr, nullptr, &Free, c10::Device(c10::DeviceType::CPU)};
    auto* block = static_cast<char*>(c10::alloc_cpu(n + kHeader));
    std::memcpy(block, &n, sizeof(n));
    const int64_t now = current_ += static_cast<int64_t>(n);
    int64_t peak = peak_;
    while (now > peak && !peak_.compare_exchange_weak(peak, now)) {
    }
    char* data = block + kHeader;
    return {data, data, &Free, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &Free; }
  void copy_data(void* to, const void* from, size_t n) const override {
    default_copy_data(to, from, n);
  }

 private:
  static constexpr size_t kHeader = 64;  // keeps the data aligned

  static void Free(void* data) {
    if (data == nullptr) return;
    char* block = static_cast<char*>(data) - kHeader;
    size_t n = 0;
    std::memcpy(&n, block, sizeof(n));
    current_ -= static_cast<int64_t>(n);
    c10::free_cpu(block);
  }

  static inline std::atomic<int64_t> current_ = 0;
  static inline std::atomic<int64_t> peak_ = 0;
};

}  // namespace routewright
