#include "trainer/update/policy_update.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/config/algorithm_facts.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "common/trace.h"
#include "trainer/algorithm/algorithms.h"
#include "trainer/algorithm/losses/value_loss.h"
#include "trainer/algorithm/schedule.h"
#include "trainer/algorithm/token_weights.h"
#include "trainer/algorithm/update_passes.h"
#include "trainer/checkpoint/checkpoint_files.h"
#include "trainer/experience/shuffled_order.h"
#include "trainer/update/device_span.h"
#include "trainer/update/saved_part.h"
#include "trainer/update/scoring.h"

namespace routewright {
namespace {

// The policy's body under a value head of zeros.
TensorSource CriticFrom(const TensorSource& policy, const ModelConfig& config) {
  return [policy, layout = ParameterLayout(config, HeadKind::kLanguageModel)](
             const TensorSlot& slot) -> absl::StatusOr<HostTensor> {
    int block = 0;
    if (layout.Find(slot.name, &block) != nullptr) return policy(slot);
    return HostTensor{slot.shape, std::vector<float>(slot.num_elements, 0.0f)};
  };
}

// values[places[i]] for each i; empty stays empty.
template <typename T>
std::vector<T> Gather(const std::vector<T>& values, std::span<const int64_t> places) {
  std::vector<T> gathered;
  if (values.empty()) return gathered;
  for (int64_t place : places) gathered.push_back(values[place]);
  return gathered;
}

void Add(const ObjectiveSums& from, ObjectiveSums& to) {
  to.loss += from.loss;
  to.entropy += from.entropy;
  to.name_entropy += from.name_entropy;
  to.name_tokens += from.name_tokens;
  to.kl += from.kl;
  to.old_minus_new += from.old_minus_new;
  to.sampler_gap += from.sampler_gap;
  to.importance_weight += from.importance_weight;
  to.clipped_tokens += from.clipped_tokens;
  to.tokens += from.tokens;
}

}  // namespace

PolicyUpdate::PolicyUpdate(UpdateOptions options)
    : options_(std::move(options)),
      policy_weights_(std::make_unique<TrainableWeights>(
          ParameterLayout(options_.model, HeadKind::kLanguageModel),
          MakeWeightOptions("policy", /*is_trainable=*/true), options_.groups)),
      policy_(std::make_unique<Transformer>(options_.model, HeadKind::kLanguageModel,
                                            &policy_weights_->weights(), MakeTransformerOptions())),
      is_reference_saved_(HasReference(options_.config) &&
                          options_.config.loss().reference_refresh_steps() > 0) {
  if (HasValueHead(options_.config)) {
    value_head_ = std::make_unique<ValueHead>(
        options_.model, MakeWeightOptions("value_head", /*is_trainable=*/true), options_.groups);
  }
  if (HasCritic(options_.config)) {
    critic_weights_ = std::make_unique<TrainableWeights>(
        ParameterLayout(options_.model, HeadKind::kValue),
        MakeWeightOptions("critic", /*is_trainable=*/true), options_.groups);
    critic_ = std::make_unique<Transformer>(options_.model, HeadKind::kValue,
                                            &critic_weights_->weights(), MakeTransformerOptions());
  }
  if (HasReference(options_.config)) {
    reference_weights_ = std::make_unique<ShardedWeights>(
        ParameterLayout(options_.model, HeadKind::kLanguageModel),
        MakeWeightOptions(kReferenceModel, /*is_trainable=*/false), options_.groups);
    reference_ = std::make_unique<Transformer>(options_.model, HeadKind::kLanguageModel,
                                               reference_weights_.get(), MakeTransformerOptions());
  }
}

absl::Status PolicyUpdate::Initialize(const TensorSource* initial) {
  RW_RETURN_IF_ERROR(policy_weights_->Load(initial));
  if (reference_weights_ != nullptr) RW_RETURN_IF_ERROR(reference_weights_->Load(initial));
  if (value_head_ != nullptr) return value_head_->Initialize();
  if (critic_ == nullptr) return absl::OkStatus();
  if (initial == nullptr) return critic_weights_->Load(nullptr);
  const TensorSource critic = CriticFrom(*initial, options_.model);
  return critic_weights_->Load(&critic);
}

TransformerOptions PolicyUpdate::MakeTransformerOptions() const {
  return {.recompute_activations = options_.config.recompute_activations(),
          .max_head_chunk_bytes = int64_t{options_.config.max_head_chunk_mib()} << 20};
}

WeightOptions PolicyUpdate::MakeWeightOptions(const std::string& name, bool is_trainable) const {
  return {.name = name,
          .device = options_.device,
          .compute_type = options_.compute_type,
          .is_trainable = is_trainable,
          .sharding = options_.config.sharding()};
}

absl::StatusOr<PolicyUpdate::PackedShare> PolicyUpdate::PackMine(
    const Batch& batch, std::span<const int> trajectories) const {
  std::vector<int64_t> lengths;
  for (int b : trajectories) lengths.push_back(batch.length(b));
  const PackingWork work = WorkOf(options_.model);
  RW_ASSIGN_OR_RETURN(PackingPlan plan,
                      PackTrajectories(lengths, options_.groups->world().size(),
                                       options_.config.max_micro_batch_tokens(), work));
  PackedShare share;
  share.imbalance = WorkImbalance(plan, lengths, work);
  share.mine = std::move(plan[options_.groups->world().rank()]);
  for (std::vector<int>& places : share.mine) {
    for (int& place : places) place = trajectories[place];
  }
  return share;
}

absl::StatusOr<PolicyUpdate::BatchScores> PolicyUpdate::Score(const Batch& batch,
                                                              double kl_coefficient) {
  const TrainerConfig& config = options_.config;
  std::vector<int> all(batch.num_trajectories());
  std::iota(all.begin(), all.end(), 0);
  RW_ASSIGN_OR_RETURN(const PackedShare share, PackMine(batch, all));
  const MicroBatches& mine = share.mine;
  const auto score = [&](Transformer& model, const char* name) {
    const DeviceSpan span(name, options_.device);
    return ScoreLogprobs(model, batch, mine, options_.temperature, options_.device,
                         options_.groups->world(), name);
  };
  BatchScores scores;
  scores.sampler_logprobs.assign(batch.sampler_logprobs.begin(), batch.sampler_logprobs.end());
  if (reference_ != nullptr) {
    RW_ASSIGN_OR_RETURN(scores.reference_logprobs, score(*reference_, "reference_logprobs"));
    reference_weights_->FreeSpares();
  }
  if (ScoresOldPolicy(config)) {
    RW_ASSIGN_OR_RETURN(scores.old_logprobs, score(*policy_, "old_logprobs"));
  }
  if (critic_ != nullptr || value_head_ != nullptr) {
    const DeviceSpan span("values", options_.device);
    const auto values_of = [&](const DeviceMicroBatch& micro) {
      Transformer& trunk = critic_ != nullptr ? *critic_ : *policy_;
      const auto forward = trunk.Forward(micro.tokens, /*with_gradient=*/false);
      return critic_ != nullptr ? forward->Values(micro.rows)
                                : value_head_->Values(forward->Hidden(micro.rows));
    };
    RW_ASSIGN_OR_RETURN(scores.values, ScoreValues(values_of, batch, mine, options_.device,
                                                   options_.groups->world()));
  }
  const ScopedSpan span("advantages");
  scores.credit = AssignCredit(config, batch,
                               {.old_logprobs = scores.sampler_logprobs,
                                .reference_logprobs = scores.reference_logprobs,
                                .values = scores.values,
                                .kl_coefficient = kl_coefficient});
  return scores;
}

absl::StatusOr<UpdateMetrics> PolicyUpdate::Run(const Batch& batch, int64_t step,
                                                double kl_coefficient) {
  RW_ASSIGN_OR_RETURN(UpdateMetrics metrics, Learn(batch, step, kl_coefficient));
  RW_RETURN_IF_ERROR(RefreshReference(step + 1));
  return metrics;
}

absl::Status PolicyUpdate::RefreshReference(int64_t steps_done) {
  const int every = options_.config.loss().reference_refresh_steps();
  if (reference_ == nullptr || every == 0 || steps_done % every != 0) return absl::OkStatus();
  return reference_weights_->CopyFrom(policy_weights_->weights());
}

absl::StatusOr<UpdateMetrics> PolicyUpdate::Learn(const Batch& batch, int64_t step,
                                                  double kl_coefficient) {
  const TrainerConfig& config = options_.config;
  UpdateMetrics metrics;
  metrics.learning_rate = PolicyLearningRate(config, step);
  const int64_t num_trajectories = batch.num_trajectories();
  if (num_trajectories == 0) return metrics;
  const double waited_s = GatherWaitSeconds();
  RW_ASSIGN_OR_RETURN(BatchScores scores, Score(batch, kl_coefficient));

  const int64_t num_mini_batches = std::min<int64_t>(config.mini_batches(), num_trajectories);
  const auto num_optimizer_steps =
      static_cast<double>(num_mini_batches * config.epochs_per_batch());
  ValueSums value_sums;
  for (int epoch = 0; epoch < config.epochs_per_batch(); ++epoch) {
    const std::vector<int> order = OrderOf(batch, step, epoch);
    for (int64_t m = 0; m < num_mini_batches; ++m) {
      const int64_t first = num_trajectories * m / num_mini_batches;
      const int64_t end = num_trajectories * (m + 1) / num_mini_batches;
      RW_ASSIGN_OR_RETURN(MiniBatch mini,
                          MakeMiniBatch(batch, std::span(order).subspan(first, end - first)));
      mini.step = step;
      mini.kl_coefficient = kl_coefficient;
      // Nothing but masked trajectories: the optimizer must not go on by its moments alone.
      if (std::all_of(mini.weights.begin(), mini.weights.end(), [](double w) { return w == 0; })) {
        continue;
      }
      RW_RETURN_IF_ERROR(LearnFrom(batch, scores, mini, metrics, value_sums));
      metrics.work_imbalance += mini.share.imbalance / num_optimizer_steps;
      metrics.micro_batches_per_rank += static_cast<double>(mini.share.mine.size());
    }
  }
  metrics.policy.loss /= num_optimizer_steps;
  metrics.value_loss = value_sums.loss / num_optimizer_steps;
  metrics.value_tokens = value_sums.tokens;
  metrics.value_clipped_tokens = value_sums.clipped_tokens;
  metrics.gather_wait_s =
      (GatherWaitSeconds() - waited_s) / static_cast<double>(options_.groups->world().size());
  RW_RETURN_IF_ERROR(SumMetrics(metrics));
  metrics.advantages = std::move(scores.credit.advantages);
  return metrics;
}

std::vector<int> PolicyUpdate::OrderOf(const Batch& batch, int64_t step, int epoch) const {
  const TrainerConfig& config = options_.config;
  const int64_t count = batch.num_trajectories();
  std::vector<int> order(count);
  std::iota(order.begin(), order.end(), 0);
  if (config.mini_batches() == 1 && config.epochs_per_batch() == 1) return order;
  ShuffledOrder shuffled(static_cast<size_t>(count), options_.seed, "mini-batches");
  const int64_t first = (step * config.epochs_per_batch() + epoch) * count;
  for (int64_t i = 0; i < count; ++i) order[i] = static_cast<int>(shuffled.At(first + i));
  return order;
}

absl::StatusOr<PolicyUpdate::MiniBatch> PolicyUpdate::MakeMiniBatch(
    const Batch& batch, std::span<const int> trajectories) const {
  MiniBatch mini;
  mini.weights = TokenWeights(options_.config.loss().normalization(), batch, trajectories);
  RW_ASSIGN_OR_RETURN(mini.share, PackMine(batch, trajectories));
  return mini;
}

// The critic first, then the policy unless the critic is to learn alone, then the value head.
absl::Status PolicyUpdate::LearnFrom(const Batch& batch, const BatchScores& scores,
                                     const MiniBatch& mini, UpdateMetrics& metrics,
                                     ValueSums& value_sums) {
  const TrainerConfig& config = options_.config;
  const bool is_warming_up = mini.step < CriticWarmupSteps(config);
  if (critic_ != nullptr) {
    RW_ASSIGN_OR_RETURN(metrics.critic_gradient_norm,
                        UpdateCritic(batch, scores, mini, value_sums));
  }
  if (!is_warming_up) {
    RW_ASSIGN_OR_RETURN(metrics.gradient_norm,
                        UpdatePolicy(batch, scores, mini, metrics.policy, value_sums));
  }
  if (value_head_ != nullptr) {
    RW_ASSIGN_OR_RETURN(
        metrics.critic_gradient_norm,
        is_warming_up ? WarmUpValueHead(batch, scores, mini, value_sums) : StepValueHead(mini));
  }
  return absl::OkStatus();
}

void PolicyUpdate::LearnFromEach(const Batch& batch, const MiniBatch& mini,
                                 std::span<GradientReducer* const> gradients,
                                 const LearnFromMicroBatch& learn) {
  for (GradientReducer* reducer : gradients) reducer->Zero();
  for (size_t i = 0; i < mini.share.mine.size(); ++i) {
    if (i + 1 == mini.share.mine.size()) {
      for (GradientReducer* reducer : gradients) reducer->ReduceFromNowOn();
    }
    const MicroBatch micro = BuildMicroBatch(batch, mini.share.mine[i]);
    const DeviceMicroBatch on_device = ToDevice(micro, options_.device);
    DeviceSpan span("micro-batch", options_.device);
    span.AddDetail("tokens", absl::StrCat(micro.token_ids.size()));
    learn(micro, on_device);
  }
}

absl::StatusOr<double> PolicyUpdate::UpdatePolicy(const Batch& batch, const BatchScores& scores,
                                                  const MiniBatch& mini, ObjectiveSums& sums,
                                                  ValueSums& value_sums) {
  const ScopedSpan span("update policy");
  std::vector<GradientReducer*> gradients = {&policy_weights_->weights().gradients()};
  if (value_head_ != nullptr) gradients.push_back(&value_head_->gradients());
  LearnFromEach(
      batch, mini, gradients, [&](const MicroBatch& micro, const DeviceMicroBatch& on_device) {
        const auto forward = InDeviceSpan("forward", options_.device, [&] {
          return policy_->Forward(on_device.tokens, /*with_gradient=*/true);
        });
        TokenScores tokens = InDeviceSpan("head", options_.device, [&] {
          return forward->ScoreTokens(on_device.rows, on_device.targets, options_.temperature);
        });
        const Objective objective = ComputeObjective(batch, micro, scores, mini, tokens);
        Add(objective.sums, sums);
        at::Tensor d_hidden;
        if (value_head_ != nullptr) {
          const at::Tensor values = value_head_->Values(tokens.hidden);
          const at::Tensor d_values = ValueGradient(micro, scores, mini, values, value_sums);
          d_hidden = value_head_->Backward(tokens.hidden, d_values);
          d_hidden *= options_.config.critic().loss_coefficient();
        }
        tokens = {};
        const DeviceSpan backward("backward", options_.device);
        forward->BackwardScores(ToDevice(objective.d_logprobs, options_.device),
                                ToDevice(objective.d_entropies, options_.device), d_hidden);
      });
  RW_RETURN_IF_ERROR(gradients[0]->Finish());
  const OptimizerConfig& optimizer = options_.config.optimizer();
  return policy_weights_->OptimizerStep(optimizer, PolicyLearningRate(options_.config, mini.step));
}

Objective PolicyUpdate::ComputeObjective(const Batch& batch, const MicroBatch& micro,
                                         const BatchScores& scores, const MiniBatch& mini,
                                         const TokenScores& tokens) const {
  const std::vector<double> logprobs = ToHost(tokens.logprobs);
  const std::vector<double> entropies = ToHost(tokens.entropies);
  const std::vector<double> sampler = Gather(scores.sampler_logprobs, micro.scored);
  const std::vector<double> old = Gather(scores.old_logprobs, micro.scored);
  const std::vector<double> reference = Gather(scores.reference_logprobs, micro.scored);
  const std::vector<double> advantages = Gather(scores.credit.advantages, micro.scored);
  const std::vector<uint8_t> names_model = Gather(batch.names_model, micro.scored);
  const std::vector<double> weights = Gather(mini.weights, micro.scored);
  const ObjectiveInput input{.logprobs = logprobs,
                             .entropies = entropies,
                             .sampler_logprobs = sampler,
                             .old_logprobs = old,
                             .reference_logprobs = reference,
                             .advantages = advantages,
                             .names_model = names_model,
                             .weights = weights,
                             .offsets = micro.scored_offsets,
                             .kl_coefficient = mini.kl_coefficient,
                             .routing = options_.config.routing()};
  return AlgorithmOf(options_.config).objective(options_.config.loss(), input);
}

absl::StatusOr<double> PolicyUpdate::UpdateCritic(const Batch& batch, const BatchScores& scores,
                                                  const MiniBatch& mini, ValueSums& sums) {
  const ScopedSpan span("update critic");
  GradientReducer* const gradients = &critic_weights_->weights().gradients();
  LearnFromEach(batch, mini, {&gradients, 1},
                [&](const MicroBatch& micro, const DeviceMicroBatch& on_device) {
                  const auto forward = InDeviceSpan("forward", options_.device, [&] {
                    return critic_->Forward(on_device.tokens, /*with_gradient=*/true);
                  });
                  const at::Tensor values = forward->Values(on_device.rows);
                  const DeviceSpan backward("backward", options_.device);
                  forward->BackwardValues(ValueGradient(micro, scores, mini, values, sums));
                });
  RW_RETURN_IF_ERROR(gradients->Finish());
  return critic_weights_->OptimizerStep(options_.config.optimizer(), CriticLearningRate(mini.step));
}

absl::StatusOr<double> PolicyUpdate::WarmUpValueHead(const Batch& batch, const BatchScores& scores,
                                                     const MiniBatch& mini, ValueSums& sums) {
  GradientReducer* const gradients = &value_head_->gradients();
  LearnFromEach(
      batch, mini, {&gradients, 1},
      [&](const MicroBatch& micro, const DeviceMicroBatch& on_device) {
        const at::Tensor hidden =
            policy_->Forward(on_device.tokens, /*with_gradient=*/false)->Hidden(on_device.rows);
        const at::Tensor values = value_head_->Values(hidden);
        value_head_->Backward(hidden, ValueGradient(micro, scores, mini, values, sums));
      });
  return StepValueHead(mini);
}

absl::StatusOr<double> PolicyUpdate::StepValueHead(const MiniBatch& mini) {
  RW_RETURN_IF_ERROR(value_head_->gradients().Finish());
  return value_head_->weights().OptimizerStep(options_.config.optimizer(),
                                              CriticLearningRate(mini.step));
}

at::Tensor PolicyUpdate::ValueGradient(const MicroBatch& micro, const BatchScores& scores,
                                       const MiniBatch& mini, const at::Tensor& values,
                                       ValueSums& sums) const {
  const std::vector<double> on_host = ToHost(values);
  const ValueLoss loss = ClippedValueLoss({.values = on_host,
                                           .old_values = Gather(scores.values, micro.scored),
                                           .returns = Gather(scores.credit.returns, micro.scored),
                                           .weights = Gather(mini.weights, micro.scored)},
                                          options_.config.critic().value_clip());
  sums.loss += loss.loss;
  sums.tokens += static_cast<double>(on_host.size());
  sums.clipped_tokens += static_cast<double>(loss.clipped_tokens);
  return ToDevice(loss.d_values, options_.device);
}

double PolicyUpdate::CriticLearningRate(int64_t step) const {
  return ScheduledLearningRate(options_.config.optimizer(),
                               options_.config.critic().learning_rate(), step,
                               options_.config.steps());
}

absl::Status PolicyUpdate::SumMetrics(UpdateMetrics& metrics) const {
  ObjectiveSums& policy = metrics.policy;
  double* const sums[] = {&policy.loss,
                          &policy.entropy,
                          &policy.name_entropy,
                          &policy.name_tokens,
                          &policy.kl,
                          &policy.old_minus_new,
                          &policy.sampler_gap,
                          &policy.importance_weight,
                          &policy.clipped_tokens,
                          &policy.tokens,
                          &metrics.value_loss,
                          &metrics.value_tokens,
                          &metrics.value_clipped_tokens,
                          &metrics.gather_wait_s};
  std::vector<double> values;
  for (const double* sum : sums) values.push_back(*sum);
  RW_RETURN_IF_ERROR(SumOverRanks(options_.groups->world(), "update_metrics", values));
  for (size_t i = 0; i < values.size(); ++i) *sums[i] = values[i];
  return absl::OkStatus();
}

std::vector<std::pair<std::string, TrainableWeights*>> PolicyUpdate::Learning() const {
  std::vector<std::pair<std::string, TrainableWeights*>> learning = {
      {"policy", policy_weights_.get()}};
  if (critic_weights_ != nullptr) learning.emplace_back("critic", critic_weights_.get());
  if (value_head_ != nullptr) learning.emplace_back("value_head", &value_head_->weights());
  return learning;
}

double PolicyUpdate::GatherWaitSeconds() const {
  absl::Duration wait;
  if (reference_weights_ != nullptr) wait += reference_weights_->gather_times().wait;
  for (const auto& [name, weights] : Learning()) {
    wait += std::as_const(*weights).weights().gather_times().wait;
  }
  return absl::ToDoubleSeconds(wait);
}

StateShare PolicyUpdate::Share(HostCopy& copy) const {
  copy.Restart();
  StateShare share;
  for (const auto& [name, weights] : Learning()) share[name] = weights->Share(copy);
  if (!is_reference_saved_) return share;
  ModelShare& reference = share[kReferenceModel];
  for (int b = 0; b < reference_weights_->num_blocks(); ++b) {
    reference.weights.push_back(
        PartToSave(*reference_weights_, b, reference_weights_->masters(b), copy));
  }
  return share;
}

std::vector<std::string> PolicyUpdate::SavedModels() const {
  std::vector<std::string> names;
  for (const auto& [name, weights] : Learning()) names.push_back(name);
  if (is_reference_saved_) names.emplace_back(kReferenceModel);
  return names;
}

absl::Status PolicyUpdate::Restore(const CheckpointReader& checkpoint) {
  for (const auto& [name, weights] : Learning()) {
    if (!checkpoint.Has(name)) {
      return absl::FailedPreconditionError(
          absl::StrCat("the checkpoint has no ", name,
                       ": it was written with another trainer.algorithm or "
                       "trainer.critic.shares_trunk; set them as in its config.resolved.yaml"));
    }
    RW_RETURN_IF_ERROR(weights->Restore(checkpoint, name));
  }
  if (!checkpoint.Has(kReferenceModel)) return absl::OkStatus();
  if (reference_ == nullptr) {
    LogWarning(
        "the checkpoint's reference policy, which was refreshed, is not used and not saved "
        "again: trainer.loss.kl_coefficient is 0");
    return absl::OkStatus();
  }
  is_reference_saved_ = true;
  for (int b = 0; b < reference_weights_->num_blocks(); ++b) {
    RW_RETURN_IF_ERROR(ReadShare(checkpoint, kReferenceModel, StateKind::kWeights,
                                 *reference_weights_, b, reference_weights_->masters(b)));
  }
  return reference_weights_->MastersChanged();
}

}  // namespace routewright
