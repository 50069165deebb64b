// A generator for tests: what the policy writes in a round comes from a function, one token a step.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "rollout_workers/generator/generator.h"
#include "tests/rollout_workers/episode/byte_tokenizer.h"

namespace routewright {

class ScriptedGenerator final : public Generator {
 public:
  using Script = std::function<std::string(const RoundRequest&)>;
  explicit ScriptedGenerator(Script script) : script_(std::move(script)) {}

  // From now on StartRound or Step fails with this.
  absl::Status start_status, step_status;
  // Every round that was started, and every episode that was ended, in order.
  std::vector<RoundRequest> requests;
  std::vector<std::string> ended;
  int num_steps = 0;
  size_t max_batch = 0;  // most rounds that were advanced in one step

  absl::Status StartRound(RoundRequest request) override {
    if (!start_status.ok()) return start_status;
    RoundResult result;
    result.episode_id = request.episode_id;
    result.round = request.round;
    result.token_ids = tokenizer_.Encode(script_(request));
    result.stop_reason = StopReason::kStopString;
    if (result.token_ids.size() >= static_cast<size_t>(request.max_new_tokens)) {
      result.token_ids.resize(static_cast<size_t>(request.max_new_tokens));
      result.stop_reason = StopReason::kMaxTokens;
    }
    result.logprobs.assign(result.token_ids.size(), -0.5f);
    result.policy_versions.assign(result.token_ids.size(), policy_version_);
    result.generate_ms = 1;
    running_[request.episode_id] = {result, 0};
    requests.push_back(std::move(request));
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<RoundResult>> Step() override {
    if (!step_status.ok()) return step_status;
    ++num_steps;
    max_batch = std::max(max_batch, running_.size());
    std::vector<RoundResult> stopped;
    for (auto it = running_.begin(); it != running_.end();) {
      auto& [result, num_sampled] = it->second;
      if (++num_sampled < result.token_ids.size()) {
        ++it;
        continue;
      }
      stopped.push_back(std::move(result));
      it = running_.erase(it);
    }
    return stopped;
  }
  bool is_idle() const override { return running_.empty(); }
  void EndEpisode(const std::string& episode_id) override {
    running_.erase(episode_id);
    ended.push_back(episode_id);
  }
  absl::Status SetWeights(std::shared_ptr<const PolicyWeights>, int64_t policy_version) override {
    policy_version_ = policy_version;
    return absl::OkStatus();
  }
  int64_t policy_version() const override { return policy_version_; }

 private:
  const ByteTokenizer tokenizer_;
  const Script script_;
  int64_t policy_version_ = 0;
  std::map<std::string, std::pair<RoundResult, size_t>> running_;  // round, tokens sampled so far
};

}  // namespace routewright
