#include "trainer/comm/launcher_environment.h"

#include <cstdlib>
#include <initializer_list>

namespace routewright {
namespace {

int FirstNumber(std::initializer_list<const char*> variables, int otherwise) {
  for (const char* name : variables) {
    if (const char* value = std::getenv(name)) return std::atoi(value);
  }
  return otherwise;
}

}  // namespace

int LauncherSize() {
  const int size = FirstNumber({"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_SIZE"}, 0);
  if (size > 0) return size;
  // A shell inside a job has Slurm's variables too; only a rank has PMIx's.
  return std::getenv("PMIX_RANK") != nullptr ? FirstNumber({"SLURM_STEP_NUM_TASKS"}, 1) : 1;
}

int LauncherRank() { return FirstNumber({"PMIX_RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK"}, 0); }

}  // namespace routewright
