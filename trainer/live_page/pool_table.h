// How the pool does, as committed trajectories tell: calls, failures, latency and cost per model,
// since this process began and over the last steps. Not thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "proto/config.pb.h"
#include "proto/episode.pb.h"

namespace routewright {

class PoolTable {
 public:
  static constexpr size_t kRecentSteps = 20;
  // Models are listed in the pool's order; prices are shown beside them.
  explicit PoolTable(const PoolConfig& pool);

  void AddStep(std::span<const Trajectory> trajectories);

  // {"recent_steps":…,"models":[{"name","input_price","output_price","total":{…},"recent":{…}}]};
  // a count has "calls","failed","cost_usd","input_tokens","output_tokens","latency_mean_ms",
  // "latency_p50_ms","latency_p95_ms","attempts" and "outcomes".
  nlohmann::ordered_json ToJson() const;

 private:
  // Latencies are counted in buckets a fifth apart, so that a percentile is right to 10 %.
  static constexpr int kBuckets = 80;
  struct Count {
    int64_t calls = 0, failed = 0, attempts = 0, input_tokens = 0, output_tokens = 0;
    int64_t cost_picousd = 0;
    double latency_ms = 0;
    std::map<int, int64_t> outcomes, latency_buckets;
    void Add(const PoolCall& call);
    void Add(const Count& other);
    nlohmann::ordered_json ToJson() const;
    double Percentile(double share) const;
  };
  using Step = std::vector<Count>;  // by model

  const PoolConfig pool_;
  std::map<std::string, size_t> places_;
  Step total_;
  std::deque<Step> recent_;
};

}  // namespace routewright
