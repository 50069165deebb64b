// Which of several runs are the same but for their seed: what a report draws as one curve with a band.
// Pure; any thread.
#pragma once

#include <nlohmann/json.hpp>
#include <span>

#include "trainer/live_page/run_data.h"

namespace routewright {

// [{"name", "runs": [places in `runs`], "differs": ["trainer.steps: 6 -> 9", …]}, …] in the order of
// each group's first run. Runs are one group if nothing but seed, name and folder differs; a run
// without a readable config is a group of its own. A group is called as its runs are up to where
// their names part; no two have one name. "differs" is from the first group's settings.
nlohmann::ordered_json GroupsOf(std::span<const RunData> runs);

}  // namespace routewright
