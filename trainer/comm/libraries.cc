#include "trainer/comm/libraries.h"

#include <mpi.h>

namespace routewright {

std::string MpiLibraryVersion() {
  char version[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length = 0;
  if (MPI_Get_library_version(version, &length) != MPI_SUCCESS) return "an MPI of no version";
  const std::string text(version);
  return text.substr(0, text.find_first_of(",\n"));
}

}  // namespace routewright
