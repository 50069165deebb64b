// What a simulated model says, how long it takes over it, and when it fails: pure functions
// of (seed, model, question), so that the emulator gives the same replies in every run,
// whatever the order of requests.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "proto/config.pb.h"
#include "rollout_workers/pool_emulator/facts_table.h"

namespace routewright {

inline constexpr std::string_view kDoNotKnow = "I do not know that; ask another model.";

// One sentence. With known(model, topic, subject) = uniform draw < the model's skill in the topic:
// the right value. Otherwise, and for subjects that are not in the table: a wrong one, another
// subject's value of the same topic (a nearby number for sums). kDoNotKnow if the message asks
// nothing that the table has a form for.
std::string AnswerMessage(const FactsTable& facts, uint64_t seed, const EmulatedModelConfig& model,
                          std::string_view message);

// Log-normal: median × exp(sigma × normal draw); 0 if the median is 0.
absl::Duration ReplyLatency(uint64_t seed, const EmulatedModelConfig& model,
                            std::string_view message);

enum class EmulatedFailure { kNone, kUnavailable, kRateLimited };

// The fate of the attempt-th request (1, 2, …) with this message: by the model's
// failure_rate and rate_limit_rate.
EmulatedFailure FailureOfAttempt(uint64_t seed, const EmulatedModelConfig& model,
                                 std::string_view message, uint64_t attempt);

// The emulator's tokens: a run of up to 6 letters and digits (bytes beyond ASCII count as letters),
// or any other visible byte, each with the white space before it. Joined, they are the text again.
std::vector<std::string_view> SplitPieces(std::string_view text);

}  // namespace routewright
