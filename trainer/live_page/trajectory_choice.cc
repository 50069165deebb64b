#include "trainer/live_page/trajectory_choice.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "common/trajectory_facts.h"

namespace routewright {
namespace {

constexpr size_t kGroupShown = 8;
constexpr size_t kEvaluationsShown = 4;

std::string MostTellingGroup(std::span<const Trajectory> trajectories) {
  std::map<std::string, std::pair<double, double>> ranges;
  std::string best;
  double best_range = -1;
  for (const Trajectory& trajectory : trajectories) {
    if (trajectory.purpose() != PURPOSE_TRAIN) continue;
    const double reward = trajectory.reward();
    const auto [entry, is_new] =
        ranges.try_emplace(GroupName(trajectory), std::pair{reward, reward});
    auto& [low, high] = entry->second;
    low = std::min(low, reward);
    high = std::max(high, reward);
    if (high - low > best_range) {
      best_range = high - low;
      best = entry->first;
    }
  }
  return best;
}

}  // namespace

std::vector<size_t> ChooseTrajectories(std::span<const Trajectory> trajectories) {
  const std::string group = MostTellingGroup(trajectories);
  std::vector<size_t> places;
  size_t training = 0, evaluations = 0;
  for (size_t place = 0; place < trajectories.size(); ++place) {
    const Trajectory& trajectory = trajectories[place];
    const bool is_shown = trajectory.purpose() == PURPOSE_EVAL
                              ? evaluations++ < kEvaluationsShown
                              : GroupName(trajectory) == group && training++ < kGroupShown;
    if (is_shown) places.push_back(place);
  }
  return places;
}

}  // namespace routewright
