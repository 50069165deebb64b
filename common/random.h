// Counter-based random numbers (Philox4x32-10, Salmon et al. 2011): a draw is a pure
// function of its key and its counter, so a stream needs no state and can be resumed at any
// place. Pure; any thread.
#pragma once

#include <cstdint>
#include <string_view>

namespace routewright {

// Mixes parts into a stream key: StreamKey(run_seed, "train/000012/0003/05", round).
uint64_t StreamKey(uint64_t seed, std::string_view name, uint64_t index);

// The `counter`-th draw of the stream `key`: 64 random bits.
uint64_t RandomBits(uint64_t key, uint64_t counter);

// The same draw as a double in [0, 1).
double RandomUniform(uint64_t key, uint64_t counter);

}  // namespace routewright
