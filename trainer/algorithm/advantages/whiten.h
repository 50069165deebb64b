// Puts the advantages of a whole batch on one scale. Pure; any thread.
#pragma once

#include <span>

namespace routewright {

// In place: (A − mean) / √(variance + 1e-8), unbiased variance, over all N policy tokens of the
// batch (of all ranks). N = 1: its own mean is subtracted. N = 0: nothing.
void Whiten(std::span<double> advantages);

}  // namespace routewright
