#include "trainer/update/device_span.h"

#include <c10/core/impl/VirtualGuardImpl.h>

#include <exception>

#include "common/log.h"

namespace routewright {

DeviceSpan::~DeviceSpan() {
  if (!span_.is_recorded() || device_.is_cpu()) return;
  try {
    const c10::impl::VirtualGuardImpl guard(device_.type());
    guard.synchronizeStream(guard.getStream(device_));
  } catch (const std::exception& error) {  // the next operation meets it too, where it can be told
    LogWarning("a traced step's device: ", error.what());
  }
}

}  // namespace routewright
