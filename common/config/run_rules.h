// Rules between the fields of a run's configuration, which no field's type or range can say.
// Sections that are not set are not checked: each command needs its own. Pure; any thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "proto/config.pb.h"

namespace routewright {

// Full key → why the chosen set-up doesn't use it: "trainer.critic" →
// "algorithm: grpo has no critic …".
using UnusedKeys = std::map<std::string, std::string>;
UnusedKeys UnusedKeysOf(const RunConfig& config);

// Whether a model of the pool costs anything.
bool HasPrices(const PoolConfig& pool);

// Every violation, "key: what". A key that the set-up doesn't use must not be set.
std::vector<std::string> RunRuleViolations(const RunConfig& config);

// The rules of one part each, appended to `violations`; RunRuleViolations calls them all.
void CheckPoolRules(const PoolConfig& pool, std::vector<std::string>& violations);
void CheckEmulatorRules(const PoolEmulatorConfig& emulator, std::vector<std::string>& violations);
void CheckTrainerRules(const RunConfig& config, std::vector<std::string>& violations);

}  // namespace routewright
