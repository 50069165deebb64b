// Whether this machine can run a config: launcher, libraries, GPUs, names, ports, disk, memory.
// Leaves nothing behind.
#pragma once

#include "launch/doctor/finding.h"
#include "proto/config.pb.h"

namespace switchyard {

// `ranks`: that will share this machine.
Findings CheckLauncher();
Findings CheckDevices(const RunConfig& config, int ranks);
// That workers can reach what the learner will listen on.
Findings CheckNetwork(const RunConfig& config);
// Writes 64 MiB where the run will, for their speed, and removes them.
Findings CheckDisk(const RunConfig& config);
Findings CheckMemory(const RunConfig& config, int ranks);

}  // namespace switchyard
