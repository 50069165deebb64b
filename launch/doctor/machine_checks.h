// Whether this machine can run a config: launcher, libraries, GPUs, names, ports, disk,
// memory. Leaves nothing behind.
#pragma once

#include "launch/doctor/finding.h"
#include "proto/config.pb.h"

namespace routewright {

// The mpirun that the launchers will use: $ROUTEWRIGHT_MPIRUN, else .venv's, else the PATH's.
Findings CheckLauncher();
// For so many ranks on this machine.
Findings CheckDevices(const RunConfig& config, int ranks);
// That workers can reach what the learner will listen on.
// `is_one_of_several`: the learner may run on another host, whose address this one need not have.
Findings CheckNetwork(const RunConfig& config, bool is_one_of_several);
// Writes 64 MiB where the run will, for their speed, and removes them.
Findings CheckDisk(const RunConfig& config);
// A rank of `ranks` in all, of which `ranks_per_host` share this machine.
Findings CheckMemory(const RunConfig& config, int ranks, int ranks_per_host);

}  // namespace routewright
