// Advantages and losses as a program, for comparison with other implementations: reads JSON requests from standard
// input, one a line, and prints one JSON answer a line.
//
//   request: {"config": TrainerConfig as YAML, "kl_coefficient": β, "trajectories": [{"sampler_logprobs": […],
//             "logprobs": […], "entropies": […], "reference_logprobs": […], "values": […], "names_model": […],
//             "reward": r, "score_reward": s, "group": g, "is_masked": 0 or 1}]}
//   answer:  {"advantages": [N], "returns": [N], "loss", "d_logprobs": [N], "d_entropies": [N]}
#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <vector>

#include "common/config/config_loader.h"
#include "trainer/algorithm/algorithms.h"
#include "trainer/algorithm/credit.h"
#include "trainer/algorithm/token_weights.h"

namespace routewright {
namespace {

using nlohmann::json;

// A batch's vectors of policy tokens, [N].
struct Vectors {
  Batch batch;
  std::vector<double> sampler_logprobs, logprobs, entropies, reference_logprobs, values;
};

Vectors Read(const json& trajectories) {
  Vectors vectors;
  Batch& batch = vectors.batch;
  for (const json& trajectory : trajectories) {
    const auto append = [&](const char* key, auto& to) {
      for (const json& value : trajectory.at(key)) to.push_back(value);
    };
    append("sampler_logprobs", vectors.sampler_logprobs);
    append("logprobs", vectors.logprobs);
    append("entropies", vectors.entropies);
    append("reference_logprobs", vectors.reference_logprobs);
    append("values", vectors.values);
    append("names_model", batch.names_model);
    const int count = static_cast<int>(trajectory.at("logprobs").size());
    for (int t = 1; t <= count; ++t) batch.scored.push_back(t);
    batch.token_ids.resize(batch.token_ids.size() + count + 1);
    batch.offsets.push_back(batch.num_tokens());
    batch.scored_offsets.push_back(batch.num_scored());
    batch.rewards.push_back(trajectory.at("reward"));
    batch.score_rewards.push_back(trajectory.at("score_reward"));
    batch.groups.push_back(trajectory.at("group"));
    batch.is_masked.push_back(trajectory.at("is_masked"));
    batch.is_charged.push_back(trajectory.at("is_charged"));
  }
  return vectors;
}

json Answer(const json& request) {
  TrainerConfig config;
  const absl::Status parsed = ParseConfigYaml(request.at("config"), "config", {}, config);
  if (!parsed.ok()) return {{"error", std::string(parsed.message())}};
  const Vectors vectors = Read(request.at("trajectories"));
  const double kl_coefficient = request.at("kl_coefficient");
  const Credit credit = AssignCredit(config, vectors.batch,
                                     {.old_logprobs = vectors.sampler_logprobs,
                                      .reference_logprobs = vectors.reference_logprobs,
                                      .values = vectors.values,
                                      .kl_coefficient = kl_coefficient});
  std::vector<int> all(vectors.batch.num_trajectories());
  std::iota(all.begin(), all.end(), 0);
  const std::vector<double> weights =
      TokenWeights(config.loss().normalization(), vectors.batch, all);
  const Objective objective = AlgorithmOf(config).objective(
      config.loss(), {.logprobs = vectors.logprobs,
                      .entropies = vectors.entropies,
                      .sampler_logprobs = vectors.sampler_logprobs,
                      .old_logprobs = {},
                      .reference_logprobs = vectors.reference_logprobs,
                      .advantages = credit.advantages,
                      .names_model = vectors.batch.names_model,
                      .weights = weights,
                      .offsets = vectors.batch.scored_offsets,
                      .kl_coefficient = kl_coefficient,
                      .routing = config.routing()});
  return {{"advantages", credit.advantages},
          {"returns", credit.returns},
          {"loss", objective.sums.loss},
          {"d_logprobs", objective.d_logprobs},
          {"d_entropies", objective.d_entropies}};
}

}  // namespace
}  // namespace routewright

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << routewright::Answer(nlohmann::json::parse(line)).dump() << '\n';
  }
}
