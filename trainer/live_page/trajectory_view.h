// A committed trajectory as the page shows it: who wrote which token, with its log-probability and
// the advantage that it was learnt with. Pure; any thread.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "policy/tokenizer/tokenizer.h"
#include "proto/episode.pb.h"

namespace routewright {

// Of the trajectory at this place of a step: [T], aligned with token_ids; NaN where nothing was
// learnt. Empty: nothing was learnt from it.
using AdvantagesOf = std::function<std::vector<float>(size_t place)>;

struct ShownTrajectory {
  Trajectory trajectory;
  std::vector<float> advantages;
};

// What a list of them says of one: {"id","step","purpose","status","question","data_source",
// "answer","reward","em","f1","cost_usd","calls":[model…],"rounds","policy_tokens","advantage"}.
nlohmann::ordered_json SummariseTrajectory(const ShownTrajectory& shown);

// The same with "golden_answers", "worker", "cost_reward", "format_reward", "pool_calls" and
// "segments", in order: {"writer":"prompt"|"observation","text"} or
// {"writer":"policy","round","action","tokens":[[text,logprob,advantage|null]…]}. A
// character that several tokens make is the last one's. At most `max_tokens` tokens;
// "tokens_left_out" counts the others.
nlohmann::ordered_json DescribeTrajectory(const ShownTrajectory& shown, const Tokenizer& tokenizer,
                                          int max_tokens);

}  // namespace routewright
