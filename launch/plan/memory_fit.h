// Whether a run fits a device's memory, and if not, the cheapest change that makes
// it fit. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "launch/plan/memory_plan.h"

namespace routewright {

struct DeviceMemory {
  std::string name;            // "H100"
  int64_t capacity_bytes = 0;  // as sold, or of this machine
  // Assumed for context, libraries and fragments: not ours to plan with.
  int64_t reserved_bytes = 0;
  bool is_gpu = false;
  int64_t usable_bytes() const { return capacity_bytes - reserved_bytes; }
};
// "h100", "h200", "a100" or "cpu" (this machine's memory, shared by the ranks of a host). Fails:
// kInvalidArgument listing the names.
absl::StatusOr<DeviceMemory> FindDeviceMemory(std::string_view name, int ranks_per_host);

// What to change, as keys of the config, and what the run needs then.
struct MemoryAdvice {
  std::vector<std::string> changes;  // "trainer.sharding.stage=full"
  PlanInput input;                   // so changed, on as many ranks as before, or more
  MemoryPlan plan;
};
// Tries changes from the cheapest on: fewer tokens at once (down to min_tokens, the longest
// sequence), no copy for checkpoints (CPUs), sharding further, computing activations again,
// offloading (GPUs), and last more ranks.
// nullopt: none is enough.
std::optional<MemoryAdvice> CheapestFit(const PlanInput& input, int64_t usable_bytes,
                                        int64_t min_tokens);

}  // namespace routewright
