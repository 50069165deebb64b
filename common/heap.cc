#include "common/heap.h"

#include <gperftools/malloc_extension.h>

namespace routewright {

void ReleaseFreeMemory() { MallocExtension::instance()->ReleaseFreeMemory(); }

}  // namespace routewright
