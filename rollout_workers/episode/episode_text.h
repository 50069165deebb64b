// An episode as text for people: every round, what was called, what it cost and how long
// it took. Pure; any thread.
#pragma once

#include <string>

#include "policy/tokenizer/tokenizer.h"
#include "proto/episode.pb.h"

namespace routewright {

// What a model wrote is shown with its control characters escaped.
std::string EpisodeToText(const Trajectory& trajectory, const Tokenizer& tokenizer);

// The same between its question and golden answers and what it scored: of a committed trajectory.
std::string CommittedEpisodeToText(const Trajectory& trajectory, const Tokenizer& tokenizer);

}  // namespace routewright
