#include "common/heap.h"

#include <gperftools/malloc_extension.h>

namespace switchyard {

void ReleaseFreeMemory() { MallocExtension::instance()->ReleaseFreeMemory(); }

}  // namespace switchyard
