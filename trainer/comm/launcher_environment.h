// What whoever started this process as a rank says of it in the environment, before MPI is up. Any thread.
#pragma once

namespace routewright {

// The number of ranks that were started together, and which of them this is: as OpenMPI, MPICH or
// Slurm (a step of srun --mpi=pmix) say; 1 and 0 without a launcher.
int LauncherSize();
int LauncherRank();

}  // namespace routewright
