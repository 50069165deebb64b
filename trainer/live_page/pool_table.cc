#include "trainer/live_page/pool_table.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "common/money/money.h"
#include "common/trajectory_facts.h"

namespace routewright {
namespace {

constexpr double kBucketRatio = 1.2;

// "CALL_OUTCOME_TIMED_OUT" → "timed_out".
std::string OutcomeName(int outcome) {
  const std::string name = CallOutcome_Name(static_cast<CallOutcome>(outcome));
  const size_t prefix = std::string_view("CALL_OUTCOME_").size();
  return name.size() > prefix ? absl::AsciiStrToLower(name.substr(prefix)) : "unknown";
}

}  // namespace

PoolTable::PoolTable(const PoolConfig& pool)
    : pool_(pool), total_(static_cast<size_t>(pool.models_size())) {
  for (int i = 0; i < pool.models_size(); ++i) places_[pool.models(i).name()] = i;
}

void PoolTable::Count::Add(const PoolCall& call) {
  ++calls;
  failed += !IsDelivered(call.outcome());
  attempts += std::max(1, call.attempts());
  input_tokens += call.input_tokens();
  output_tokens += call.output_tokens();
  cost_picousd += call.cost_picousd();
  latency_ms += call.latency_ms();
  ++outcomes[call.outcome()];
  const double bucket = std::log(std::max(1.0, call.latency_ms())) / std::log(kBucketRatio);
  ++latency_buckets[std::min(kBuckets - 1, static_cast<int>(bucket))];
}

void PoolTable::Count::Add(const Count& other) {
  calls += other.calls;
  failed += other.failed;
  attempts += other.attempts;
  input_tokens += other.input_tokens;
  output_tokens += other.output_tokens;
  cost_picousd += other.cost_picousd;
  latency_ms += other.latency_ms;
  for (const auto& [outcome, count] : other.outcomes) outcomes[outcome] += count;
  for (const auto& [bucket, count] : other.latency_buckets) latency_buckets[bucket] += count;
}

double PoolTable::Count::Percentile(double share) const {
  int64_t seen = 0;
  for (const auto& [bucket, count] : latency_buckets) {
    seen += count;
    if (static_cast<double>(seen) >= share * static_cast<double>(calls)) {
      return std::pow(kBucketRatio, bucket + 0.5);
    }
  }
  return 0.0;
}

nlohmann::ordered_json PoolTable::Count::ToJson() const {
  nlohmann::ordered_json json = {{"calls", calls},
                                 {"failed", failed},
                                 {"attempts", attempts},
                                 {"input_tokens", input_tokens},
                                 {"output_tokens", output_tokens},
                                 {"cost_usd", PicousdToUsd(cost_picousd)}};
  if (calls > 0) {
    json["latency_mean_ms"] = latency_ms / static_cast<double>(calls);
    json["latency_p50_ms"] = Percentile(0.5);
    json["latency_p95_ms"] = Percentile(0.95);
  }
  json["outcomes"] = nlohmann::ordered_json::object();
  for (const auto& [outcome, count] : outcomes) json["outcomes"][OutcomeName(outcome)] = count;
  return json;
}

void PoolTable::AddStep(std::span<const Trajectory> trajectories) {
  Step step(total_.size());
  for (const Trajectory& trajectory : trajectories) {
    for (const PoolCall& call : trajectory.pool_calls()) {
      const auto place = places_.find(call.model());
      if (place != places_.end()) step[place->second].Add(call);
    }
  }
  for (size_t i = 0; i < step.size(); ++i) total_[i].Add(step[i]);
  recent_.push_back(std::move(step));
  if (recent_.size() > kRecentSteps) recent_.pop_front();
}

nlohmann::ordered_json PoolTable::ToJson() const {
  Step recent(total_.size());
  for (const Step& step : recent_) {
    for (size_t i = 0; i < step.size(); ++i) recent[i].Add(step[i]);
  }
  nlohmann::ordered_json json = {{"recent_steps", recent_.size()},
                                 {"models", nlohmann::ordered_json::array()}};
  for (size_t i = 0; i < total_.size(); ++i) {
    const PoolModelConfig& model = pool_.models(static_cast<int>(i));
    json["models"].push_back(
        {{"name", model.name()},
         {"description", model.description()},
         {"input_usd_per_1m", static_cast<double>(model.input_price()) * 1e-6},
         {"output_usd_per_1m", static_cast<double>(model.output_price()) * 1e-6},
         {"total", total_[i].ToJson()},
         {"recent", recent[i].ToJson()}});
  }
  return json;
}

}  // namespace routewright
