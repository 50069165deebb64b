// A span of work that a device may do behind the host's back: at its end, while a trace is on, the
// host waits for what it has given to the device's current stream. What runs on other streams
// (gathers, reductions) goes on beside it.
#pragma once

#include <ATen/core/Tensor.h>

#include "common/trace.h"

namespace routewright {

class DeviceSpan {
 public:
  // As ScopedSpan.
  DeviceSpan(const char* name, at::Device device) : span_(name), device_(device) {}
  ~DeviceSpan();
  DeviceSpan(const DeviceSpan&) = delete;
  DeviceSpan& operator=(const DeviceSpan&) = delete;

  void AddDetail(std::string key, std::string value) {
    span_.AddDetail(std::move(key), std::move(value));
  }

 private:
  ScopedSpan span_;  // ends after the destructor's wait
  const at::Device device_;
};

// What `work` gives, in a span.
template <typename Work>
auto InDeviceSpan(const char* name, at::Device device, const Work& work) {
  const DeviceSpan span(name, device);
  return work();
}

}  // namespace routewright
