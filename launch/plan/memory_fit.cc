#include "launch/plan/memory_fit.h"

#include <algorithm>
#include <fstream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace routewright {
namespace {

constexpr int64_t kGiB = int64_t{1} << 30;
constexpr int kMostRanks = 1024;

// MemTotal of /proc/meminfo; 0 if there is none.
int64_t MachineMemory() {
  std::ifstream file("/proc/meminfo");
  std::string key;
  int64_t kib = 0;
  file >> key >> kib;
  return key == "MemTotal:" ? kib << 10 : 0;
}

// One way to run, and how much slower than the cheapest (an order, not a measurement).
struct Candidate {
  int cost = 0;
  TrainerConfig config;
};

std::vector<ShardingConfig::Stage> StagesFrom(const PlanInput& input) {
  std::vector<ShardingConfig::Stage> stages;
  const int last = input.ranks > 1 ? ShardingConfig::STAGE_FULL : input.config.sharding().stage();
  for (int stage = input.config.sharding().stage(); stage <= last; ++stage) {
    stages.push_back(static_cast<ShardingConfig::Stage>(stage));
  }
  return stages;
}

// A copy that is not made makes training wait for the disk; a GPU's host has room for it.
std::vector<bool> CopiesFrom(const PlanInput& input) {
  if (!input.config.checkpoint().asynchronous()) return {false};
  return input.has_gpu ? std::vector<bool>{true} : std::vector<bool>{true, false};
}

std::vector<ShardingConfig::Offload> OffloadsFrom(const PlanInput& input) {
  std::vector<ShardingConfig::Offload> offloads;
  const int last = input.has_gpu ? ShardingConfig::OFFLOAD_ALL : input.config.sharding().offload();
  for (int offload = input.config.sharding().offload(); offload <= last; ++offload) {
    offloads.push_back(static_cast<ShardingConfig::Offload>(offload));
  }
  return offloads;
}

// Tokens at once halve at no other cost than smaller products; a stage costs communication;
// recomputation a third more arithmetic; offloading the host's bandwidth.
std::vector<Candidate> Candidates(const PlanInput& input, int64_t min_tokens) {
  const TrainerConfig& now = input.config;
  std::vector<Candidate> candidates{{.config = now}};
  // Each choice multiplies what there is by its own values.
  const auto choose = [&](const auto& values, const auto& apply) {
    std::vector<Candidate> chosen;
    for (const Candidate& candidate : candidates) {
      for (const auto& value : values) apply(value, chosen.emplace_back(candidate));
    }
    candidates = std::move(chosen);
  };
  choose(StagesFrom(input), [&](ShardingConfig::Stage stage, Candidate& candidate) {
    candidate.cost += 2 * (stage - now.sharding().stage());
    candidate.config.mutable_sharding()->set_stage(stage);
  });
  choose(OffloadsFrom(input), [&](ShardingConfig::Offload offload, Candidate& candidate) {
    candidate.cost += 20 * (offload - now.sharding().offload());
    if (offload == ShardingConfig::OFFLOAD_NONE) return;
    candidate.config.mutable_sharding()->set_offload(offload);
  });
  choose(CopiesFrom(input), [&](bool is_asynchronous, Candidate& candidate) {
    if (is_asynchronous == now.checkpoint().asynchronous()) return;
    candidate.cost += 1;
    candidate.config.mutable_checkpoint()->set_asynchronous(is_asynchronous);
  });
  const std::vector<bool> recompute =
      now.recompute_activations() ? std::vector<bool>{true} : std::vector<bool>{false, true};
  choose(recompute, [&](bool is_recomputed, Candidate& candidate) {
    candidate.cost += is_recomputed && !now.recompute_activations() ? 8 : 0;
    candidate.config.set_recompute_activations(is_recomputed);
  });
  std::vector<int64_t> tokens = {now.max_micro_batch_tokens()};
  while (tokens.back() > min_tokens) tokens.push_back(std::max(min_tokens, tokens.back() / 2));
  choose(tokens, [&](int64_t at_once, Candidate& candidate) {
    candidate.cost +=
        static_cast<int>(std::find(tokens.begin(), tokens.end(), at_once) - tokens.begin());
    candidate.config.set_max_micro_batch_tokens(static_cast<int32_t>(at_once));
  });
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.cost < b.cost; });
  return candidates;
}

// The enum's value as the config writes it: STAGE_FULL → full.
std::string ShortName(const std::string& value) {
  return absl::AsciiStrToLower(value.substr(value.find('_') + 1));
}

std::vector<std::string> Changes(const TrainerConfig& from, const TrainerConfig& to) {
  std::vector<std::string> changes;
  if (from.max_micro_batch_tokens() != to.max_micro_batch_tokens()) {
    changes.push_back(absl::StrCat("trainer.max_micro_batch_tokens=", to.max_micro_batch_tokens()));
  }
  if (from.recompute_activations() != to.recompute_activations()) {
    changes.push_back("trainer.recompute_activations=true");
  }
  if (from.sharding().stage() != to.sharding().stage()) {
    changes.push_back(absl::StrCat("trainer.sharding.stage=",
                                   ShortName(ShardingConfig::Stage_Name(to.sharding().stage()))));
  }
  if (from.sharding().offload() != to.sharding().offload()) {
    changes.push_back(
        absl::StrCat("trainer.sharding.offload=",
                     ShortName(ShardingConfig::Offload_Name(to.sharding().offload()))));
  }
  if (from.checkpoint().asynchronous() != to.checkpoint().asynchronous()) {
    changes.push_back("trainer.checkpoint.asynchronous=false");
  }
  return changes;
}

}  // namespace

absl::StatusOr<DeviceMemory> FindDeviceMemory(std::string_view name, int ranks_per_host) {
  if (name == "h100") return DeviceMemory{"H100", 80 * kGiB, 6 * kGiB, true};
  if (name == "h200")
    return DeviceMemory{"H200", int64_t{141} * 1000 * 1000 * 1000, 6 * kGiB, true};
  if (name == "a100") return DeviceMemory{"A100", 80 * kGiB, 6 * kGiB, true};
  if (name == "cpu") {
    const int64_t share = MachineMemory() / std::max(1, ranks_per_host);
    return DeviceMemory{"a share of this machine", share, share / 10, false};
  }
  return absl::InvalidArgumentError(absl::StrCat("'", std::string(name),
                                                 "' is no device that is known: h100, h200, a100 "
                                                 "or cpu"));
}

std::optional<MemoryAdvice> CheapestFit(const PlanInput& input, int64_t usable_bytes,
                                        int64_t min_tokens) {
  for (int ranks = input.ranks; ranks <= std::max(input.ranks, kMostRanks); ranks *= 2) {
    PlanInput trial = input;
    trial.ranks = ranks;
    trial.ranks_per_host = std::min(ranks, std::max(input.ranks_per_host, input.has_gpu ? 8 : 1));
    for (const Candidate& candidate : Candidates(trial, min_tokens)) {
      trial.config = candidate.config;
      const MemoryPlan plan = PlanMemory(trial);
      if (plan.peak() > usable_bytes) continue;
      return MemoryAdvice{Changes(input.config, candidate.config), trial, plan};
    }
  }
  return std::nullopt;
}

}  // namespace routewright
