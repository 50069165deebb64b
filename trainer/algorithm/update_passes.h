// Which passes a step's update makes beside the policy's own forward and backward: what
// trainer/update/policy_update runs and what is planned for it, asked in one place. Pure; any thread.
#pragma once

#include "proto/config.pb.h"

namespace routewright {

// The reference policy is loaded and scores every batch.
bool HasReference(const TrainerConfig& config);
// The policy scores a batch before its first optimizer step. With one mini-batch its
// log-probabilities in the update are those.
bool ScoresOldPolicy(const TrainerConfig& config);
// A critic gives values to every batch, and learns: one of the policy's size, or a value head on
// the policy's own trunk, for which the policy runs through every batch once more.
bool HasCritic(const TrainerConfig& config);
bool HasValueHead(const TrainerConfig& config);

}  // namespace routewright
