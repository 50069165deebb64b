// A plan of a step's time as `train --dry-run` prints it. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>

#include "launch/plan/device_speed.h"
#include "launch/plan/memory_plan.h"

namespace routewright {

// "17.1 ms", "93.5 s": three significant digits.
std::string SecondsText(double seconds);

// Comment lines: the step's tokens; time and amount of its arithmetic and its communication, if it
// has any; tokens/s and MFU; and last what was assumed, given or measured for it.
std::string DescribeStepTime(const PlanInput& input, int64_t sequence_tokens,
                             const DeviceSpeed& speed);

}  // namespace routewright
