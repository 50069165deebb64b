#include "trainer/device_span.h"

#include <c10/core/impl/VirtualGuardImpl.h>

namespace switchyard {

DeviceSpan::~DeviceSpan() {
  if (!span_.is_recorded() || device_.is_cpu()) return;
  const c10::impl::VirtualGuardImpl guard(device_.type());
  guard.synchronizeStream(guard.getStream(device_));
}

}  // namespace switchyard
