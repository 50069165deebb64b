// Which communication libraries the program was linked with, for people to compare with what
// launches it. Any thread; MPI need not be initialised.
#pragma once

#include <string>

namespace routewright {

std::string MpiLibraryVersion();   // "Open MPI v5.0.11, …", one line
std::string NcclLibraryVersion();  // "NCCL 2.28.9"; "" in a build without it

}  // namespace routewright
