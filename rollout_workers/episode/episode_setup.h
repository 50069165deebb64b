// What a program needs to run episodes, from a config and a policy folder: tokenizer,
// prompt, models, limits, and how to make a generator; and the pool. Shared by the
// worker, evaluation and ask.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "policy/model/model_config.h"
#include "policy/model/parameter_layout.h"
#include "policy/model/policy_weights.h"
#include "policy/tokenizer/tokenizer.h"
#include "proto/config.pb.h"
#include "rollout_workers/episode/episode.h"
#include "rollout_workers/generator/generator.h"
#include "rollout_workers/pool/pool_client.h"

namespace routewright {

// Immutable after Load; any thread.
class EpisodeSetup {
 public:
  // Reads everything of `policy_folder` but its weights. Fails: as the folder's files and the
  // prompt's templates do; kInvalidArgument if episode.max_sequence_tokens passes what the
  // policy has positions for.
  static absl::StatusOr<std::unique_ptr<EpisodeSetup>> Load(const RunConfig& config,
                                                            const std::string& policy_folder);

  // Valid as long as the setup.
  const EpisodeContext& context() const { return context_; }
  const ParameterLayout& layout() const { return layout_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }

  // A generator that samples from `weights` on the CPU. The setup must outlive it.
  absl::StatusOr<std::unique_ptr<Generator>> MakeGenerator(
      std::shared_ptr<const PolicyWeights> weights, int64_t policy_version) const;
  // With the folder's own weights, as version 0.
  absl::StatusOr<std::unique_ptr<Generator>> MakeGeneratorOfFolder() const;

 private:
  EpisodeSetup(const RunConfig& config, std::string policy_folder, ModelConfig model_config,
               ModelList models);

  const WorkerConfig worker_config_;
  const std::string policy_folder_;
  const ModelConfig model_config_;
  const ParameterLayout layout_;
  const ModelList models_;
  std::unique_ptr<const Tokenizer> tokenizer_;
  Prompt prompt_;
  EpisodeContext context_;
};

// The pool of a config over HTTP, with its ledger in the run's folder. Calls without usage are
// counted with `tokenizer`, which must outlive the client. `keeps_budget`: the client itself keeps
// to run.budget_usd; for a worker the learner does.
absl::StatusOr<std::unique_ptr<PoolClient>> OpenPool(const RunConfig& config,
                                                     const Tokenizer* tokenizer, bool keeps_budget);

}  // namespace routewright
