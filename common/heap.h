// The heap is tcmalloc's (gperftools), linked into every program of this project. A step's tensors
// are of a few MiB, and of other sizes at every step: glibc's malloc keeps what lies between them,
// more of it with every step.
#pragma once

namespace routewright {

// Gives the system back what is free. Any thread.
void ReleaseFreeMemory();

}  // namespace routewright
