// The workers of a run as the page lists them: all counted, a few of them in rows. Pure; any
// thread.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "trainer/experience/trajectory_source.h"

namespace routewright {

// {"count","live","newest_version","trajectories","pool_failures","active_episodes","lags":
// {"0":…,"1":…,"2+":…,"none yet":…},"code_versions":{…},"rows":[…]}; `limit` rows, the first by
// `sort`: "silent", "lag", "trajectories", "waited" (each from the greatest) or "id", which is
// also what other words mean.
nlohmann::ordered_json WorkerTable(WorkersView view, const std::string& sort, size_t limit);

}  // namespace routewright
