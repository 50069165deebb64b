#include "trainer/live_page/worker_table.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

namespace routewright {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxCodeVersions = 8;

// Versions behind the newest; −1 for a worker of which nothing came yet.
int64_t LagOf(const WorkerView& worker, int64_t newest_version) {
  return worker.policy_version == 0 ? -1 : newest_version - worker.policy_version;
}

std::string LagName(int64_t lag) {
  return lag < 0 ? "none yet" : lag == 0 ? "0" : lag == 1 ? "1" : "2+";
}

double SortKey(const WorkerView& worker, const std::string& sort, int64_t newest_version) {
  if (sort == "silent") return worker.silent_s;
  if (sort == "lag") return static_cast<double>(LagOf(worker, newest_version));
  if (sort == "trajectories") return static_cast<double>(worker.trajectories);
  if (sort == "waited") return worker.waited_s;
  return 0.0;
}

Json RowOf(const WorkerView& worker, int64_t newest_version) {
  const int64_t lag = LagOf(worker, newest_version);
  return {{"id", worker.id},
          {"code_version", worker.code_version},
          {"is_live", worker.is_live},
          {"silent_s", worker.silent_s},
          {"policy_version", worker.policy_version},
          {"lag", lag < 0 ? Json(nullptr) : Json(lag)},
          {"trajectories", worker.trajectories},
          {"pool_failures", worker.pool_failures},
          {"active_episodes", worker.active_episodes},
          {"waited_s", worker.waited_s}};
}

}  // namespace

Json WorkerTable(WorkersView view, const std::string& sort, size_t limit) {
  Json json = {
      {"count", view.workers.size()}, {"live", 0}, {"newest_version", view.newest_version}};
  int64_t live = 0, trajectories = 0, pool_failures = 0, active_episodes = 0;
  std::map<std::string, int64_t> lags, code_versions;
  for (const WorkerView& worker : view.workers) {
    live += worker.is_live;
    trajectories += worker.trajectories;
    pool_failures += worker.pool_failures;
    active_episodes += worker.is_live ? worker.active_episodes : 0;
    if (worker.is_live) ++lags[LagName(LagOf(worker, view.newest_version))];
    if (code_versions.size() < kMaxCodeVersions || code_versions.contains(worker.code_version)) {
      ++code_versions[worker.code_version];
    }
  }
  json["live"] = live;
  json["trajectories"] = trajectories;
  json["pool_failures"] = pool_failures;
  json["active_episodes"] = active_episodes;
  json["lags"] = lags;
  json["code_versions"] = code_versions;
  std::sort(view.workers.begin(), view.workers.end(),
            [&](const WorkerView& a, const WorkerView& b) {
              const double key_a = SortKey(a, sort, view.newest_version);
              const double key_b = SortKey(b, sort, view.newest_version);
              return key_a != key_b ? key_a > key_b : a.id < b.id;
            });
  json["rows"] = Json::array();
  for (size_t i = 0; i < std::min(limit, view.workers.size()); ++i) {
    json["rows"].push_back(RowOf(view.workers[i], view.newest_version));
  }
  return json;
}

}  // namespace routewright
