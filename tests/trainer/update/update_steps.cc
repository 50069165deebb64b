// PolicyUpdate as a program, for comparison with other trainers: reads one JSON request from
// standard input, takes the steps and prints one JSON answer.
//
//   request: {"policy": folder, "config": TrainerConfig as YAML, "threads": n, "temperature": t,
//             "kl_coefficient": β, "steps": n, "trajectories": [{"token_ids": […],
//             "scored": [places], "sampler_logprobs": […], "reward": r, "group": g}]}
//   answer:  {"steps": [{"loss", "entropy", "kl", "clipped_tokens", "gradient_norm", "seconds"}],
//             "peak_bytes": most memory resident in this process}
//
// Entropy and kl are means per scored token. One rank.
#include <ATen/Parallel.h>
#include <sys/resource.h>

#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "absl/time/clock.h"
#include "common/config/config_loader.h"
#include "policy/formats/policy_folder.h"
#include "trainer/comm/local_communicator.h"
#include "trainer/update/policy_update.h"

namespace routewright {
namespace {

using nlohmann::json;

template <typename T>
T ValueOrExit(absl::StatusOr<T> result) {
  if (result.ok()) return std::move(*result);
  std::cerr << result.status().message() << '\n';
  std::exit(1);
}

void ExitUnlessOk(const absl::Status& status) {
  if (status.ok()) return;
  std::cerr << status.message() << '\n';
  std::exit(1);
}

Batch ReadBatch(const json& trajectories) {
  Batch batch;
  for (const json& trajectory : trajectories) {
    const auto append = [&](const char* key, auto& to) {
      for (const json& value : trajectory.at(key)) to.push_back(value);
    };
    append("token_ids", batch.token_ids);
    append("scored", batch.scored);
    append("sampler_logprobs", batch.sampler_logprobs);
    batch.offsets.push_back(batch.num_tokens());
    batch.scored_offsets.push_back(batch.num_scored());
    batch.rewards.push_back(trajectory.at("reward"));
    batch.groups.push_back(trajectory.at("group"));
  }
  return batch;
}

int64_t PeakBytes() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} << 10;
}

json TakeSteps(PolicyUpdate& update, const Batch& batch, int64_t steps, double kl_coefficient) {
  json rows = json::array();
  for (int64_t step = 0; step < steps; ++step) {
    const absl::Time start = absl::Now();
    const UpdateMetrics metrics = ValueOrExit(update.Run(batch, step, kl_coefficient));
    rows.push_back({{"loss", metrics.policy.loss},
                    {"entropy", metrics.policy.entropy / metrics.policy.tokens},
                    {"kl", metrics.policy.kl / metrics.policy.tokens},
                    {"clipped_tokens", metrics.policy.clipped_tokens},
                    {"gradient_norm", metrics.gradient_norm},
                    {"seconds", absl::ToDoubleSeconds(absl::Now() - start)}});
  }
  return rows;
}

int Main() {
  const json request = json::parse(std::cin);
  at::set_num_threads(request.at("threads"));
  const std::string folder = request.at("policy");
  UpdateOptions options;
  options.model = ValueOrExit(LoadModelConfig(folder));
  options.temperature = request.at("temperature");
  ExitUnlessOk(ParseConfigYaml(request.at("config"), "config", {}, options.config));
  const auto communicator = NewLocalCommunicator();
  const auto groups = ValueOrExit(RankGroups::Make(communicator.get(), options.config.sharding()));
  options.groups = groups.get();
  PolicyUpdate update(options);
  {  // and unmapped again
    const TensorSource initial = ValueOrExit(OpenPolicyTensors(folder, options.model));
    ExitUnlessOk(update.Initialize(&initial));
  }
  const json steps = TakeSteps(update, ReadBatch(request.at("trajectories")), request.at("steps"),
                               request.at("kl_coefficient"));
  std::cout << json({{"steps", steps}, {"peak_bytes", PeakBytes()}}).dump() << '\n';
  return 0;
}

}  // namespace
}  // namespace routewright

int main() { return routewright::Main(); }
