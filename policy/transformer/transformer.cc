#include "policy/transformer/transformer.h"

#include <ATen/ops/embedding.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/rms_norm.h>
#include <ATen/ops/tensor.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "common/check.h"
#include "kernels/token_logprob/token_logprob.h"
#include "policy/transformer/transformer_block.h"

namespace routewright {
namespace {

// A block's weights, held for as long as they are used.
class AcquiredWeights {
 public:
  AcquiredWeights(WeightProvider* provider, int block) : provider_(provider), block_(block) {
    flat_ = provider->AcquireWeights(block);
  }
  ~AcquiredWeights() {
    flat_.reset();
    provider_->ReleaseWeights(block_);
  }
  AcquiredWeights(const AcquiredWeights&) = delete;
  AcquiredWeights& operator=(const AcquiredWeights&) = delete;
  const at::Tensor& flat() const { return flat_; }

 private:
  WeightProvider* provider_;
  int block_;
  at::Tensor flat_;
};

// One block's own autograd graph: from `input` and `weights`, which are leaves, to `output`.
struct BlockGraph {
  at::Tensor input;
  std::vector<at::Tensor> weights;
  at::Tensor output;
};

std::vector<at::Tensor> MakeLeaves(std::vector<at::Tensor> views, bool with_gradient) {
  if (with_gradient) {
    for (at::Tensor& view : views) view = view.detach().requires_grad_(true);
  }
  return views;
}

// Runs the graph backward: adds the weights' gradients into `gradients` (views like
// graph.weights), returns the input's.
at::Tensor BackwardGraph(BlockGraph graph, const std::vector<at::Tensor>& gradients,
                         const at::Tensor& d_output) {
  for (size_t i = 0; i < gradients.size(); ++i) graph.weights[i].mutable_grad() = gradients[i];
  graph.output.backward(d_output);
  for (const at::Tensor& weight : graph.weights) weight.mutable_grad() = at::Tensor();
  return graph.input.grad();
}

at::Tensor SequenceCosines(const at::Tensor& table, const at::Tensor& positions,
                           at::ScalarType type) {
  return at::index_select(table, 0, positions).to(type).unsqueeze(1);  // [T, 1, D/2]
}

}  // namespace

struct Transformer::Impl {
  Impl(const ModelConfig& model_config, HeadKind head_kind, WeightProvider* provider,
       TransformerOptions transformer_options)
      : config(model_config),
        options(transformer_options),
        head(head_kind),
        layout(model_config, head_kind),
        block_shapes(BlockTensorShapes(model_config)),
        weights(provider) {}

  // Makes the tables reach the largest position.
  void GrowRotationTables(const at::Tensor& positions);

  const ModelConfig config;
  const TransformerOptions options;
  const HeadKind head;
  const ParameterLayout layout;
  const BlockTensors<JoinedTensor> block_shapes;
  WeightProvider* const weights;
  at::Tensor cosines, sines;  // [positions seen so far, D/2] f64, on the compute device
};

// Angles are made in f64, so that no type or device gives other tables.
void Transformer::Impl::GrowRotationTables(const at::Tensor& positions) {
  if (positions.size(0) == 0) return;
  const int64_t needed = positions.max().item<int64_t>() + 1;
  RW_CHECK(needed <= config.max_positions)
      << "position " << needed - 1 << " of at most " << config.max_positions;
  if (cosines.defined() && cosines.size(0) >= needed && cosines.device() == positions.device())
    return;
  const int64_t rows = std::min(config.max_positions, std::max<int64_t>(2 * needed, 256));
  const std::vector<double> frequencies = config.RopeFrequencies();
  std::vector<double> cosine_values, sine_values;
  for (int64_t position = 0; position < rows; ++position) {
    for (const double frequency : frequencies) {
      cosine_values.push_back(std::cos(position * frequency));
      sine_values.push_back(std::sin(position * frequency));
    }
  }
  const auto to_table = [&](const std::vector<double>& values) {
    return at::tensor(values, at::TensorOptions().dtype(at::kDouble))
        .view({rows, -1})
        .to(positions.device());
  };
  cosines = to_table(cosine_values);
  sines = to_table(sine_values);
}

namespace {

class ForwardPassImpl final : public ForwardPass {
 public:
  ForwardPassImpl(const ModelConfig& config, const TransformerOptions& options,
                  const ParameterLayout& layout, const BlockTensors<JoinedTensor>& block_shapes,
                  WeightProvider* weights, const PackedTokens& tokens, bool is_tied,
                  bool with_gradient)
      : config_(config),
        options_(options),
        layout_(layout),
        block_shapes_(block_shapes),
        weights_(weights),
        token_ids_(tokens.token_ids),
        is_tied_(is_tied),
        with_gradient_(with_gradient) {}

  // Embedding and transformer blocks.
  void Run(BlockContext context, const at::Tensor& cosines, const at::Tensor& sines,
           const at::Tensor& positions);

  TokenScores ScoreTokens(const at::Tensor& rows, const at::Tensor& target_ids,
                          double temperature) override;
  at::Tensor Hidden(const at::Tensor& rows) override;
  at::Tensor Values(const at::Tensor& rows) override;
  void BackwardScores(const at::Tensor& d_logprobs, const at::Tensor& d_entropies,
                      const at::Tensor& d_hidden) override;
  void BackwardValues(const at::Tensor& d_values) override;

 private:
  // What the head uses, acquired as long as this lives.
  struct HeadWeights {
    HeadWeights(WeightProvider* provider, int head_block, int output_block)
        : head(provider, head_block), output(provider, output_block) {}
    AcquiredWeights head, output;
  };

  bool is_empty() const { return token_ids_.size(0) == 0; }
  int head_block() const { return static_cast<int>(layout_.blocks().size()) - 1; }
  // The block that holds the output weight [V, C], at the end of its buffer.
  int output_block() const { return is_tied_ ? 0 : head_block(); }
  at::Tensor OutputWeight(const at::Tensor& flat) const {
    const int64_t n = config_.vocabulary_size * config_.width;
    return flat.narrow(0, flat.size(0) - n, n).view({config_.vocabulary_size, config_.width});
  }
  // A block's graph from `input` on, or its output alone without gradient.
  BlockGraph RunBlock(const at::Tensor& input, const at::Tensor& flat) const;
  void PrefetchAfter(int block);
  at::Tensor NormedRows(const at::Tensor& rows, const at::Tensor& norm_weight, BlockGraph* graph);
  at::Tensor BackwardHead(const std::vector<at::Tensor>& gradients, const at::Tensor& d_output);
  void BackwardBlocks(at::Tensor d_hidden);
  at::Tensor BackwardBlock(int block, const at::Tensor& flat, const at::Tensor& d_output);

  const ModelConfig& config_;
  const TransformerOptions& options_;
  const ParameterLayout& layout_;
  const BlockTensors<JoinedTensor>& block_shapes_;
  WeightProvider* const weights_;
  const at::Tensor token_ids_;
  const bool is_tied_;
  const bool with_gradient_;
  BlockContext context_;
  at::Tensor hidden_;               // [T, C] after the last block
  std::vector<BlockGraph> blocks_;  // with gradient only; inputs alone if they are recomputed
  BlockGraph head_;                 // its output: normed rows [N, C], or values [N]
  // From ScoreTokens until its backward has left the head, which uses the largest weights of all.
  std::optional<HeadWeights> head_weights_;
  at::Tensor target_ids_;
  double temperature_ = 1.0;
  TokenLogprobs scores_;
};

void ForwardPassImpl::PrefetchAfter(int block) {
  weights_->PrefetchWeights(block + 1);
  if (block + 1 == head_block() && output_block() != head_block()) {
    weights_->PrefetchWeights(output_block());
  }
}

BlockGraph ForwardPassImpl::RunBlock(const at::Tensor& input, const at::Tensor& flat) const {
  BlockGraph graph;
  BlockTensors<at::Tensor> weights = SplitBlock(flat, block_shapes_);
  ForEachTensor(
      [&](at::Tensor& weight) {
        if (weight.defined()) weight = MakeLeaves({weight}, with_gradient_)[0];
      },
      weights);
  graph.weights = ListTensors(weights);
  graph.input = MakeLeaves({input}, with_gradient_)[0];
  graph.output = BlockForward(graph.input, weights, context_);
  return graph;
}

void ForwardPassImpl::Run(BlockContext context, const at::Tensor& cosines, const at::Tensor& sines,
                          const at::Tensor& positions) {
  context_ = std::move(context);
  {
    const AcquiredWeights embedding(weights_, 0);
    PrefetchAfter(0);
    const c10::NoGradGuard no_grad;
    hidden_ = at::embedding(embedding.flat().view({config_.vocabulary_size, config_.width}),
                            token_ids_);  // [T, C]
  }
  if (!is_empty()) {
    context_.cosines = SequenceCosines(cosines, positions, hidden_.scalar_type());
    context_.sines = SequenceCosines(sines, positions, hidden_.scalar_type());
  }
  const c10::AutoGradMode grad_mode(with_gradient_ && !options_.recompute_activations);
  for (int block = 1; block < head_block(); ++block) {
    const AcquiredWeights acquired(weights_, block);
    PrefetchAfter(block);
    if (is_empty()) continue;
    BlockGraph graph;
    if (options_.recompute_activations) {
      graph.input = hidden_;
      hidden_ = BlockForward(hidden_, SplitBlock(acquired.flat(), block_shapes_), context_);
    } else {
      graph = RunBlock(hidden_, acquired.flat());
      hidden_ = graph.output.detach();
    }
    if (with_gradient_) blocks_.push_back(std::move(graph));
  }
}

// norm(hidden[rows]) [N, C] as the head's graph.
at::Tensor ForwardPassImpl::NormedRows(const at::Tensor& rows, const at::Tensor& norm_weight,
                                       BlockGraph* graph) {
  graph->input = MakeLeaves({hidden_}, with_gradient_)[0];
  graph->weights = MakeLeaves({norm_weight}, with_gradient_);
  return at::rms_norm(at::index_select(graph->input, 0, rows), {config_.width}, graph->weights[0],
                      config_.norm_epsilon);
}

TokenScores ForwardPassImpl::ScoreTokens(const at::Tensor& rows, const at::Tensor& target_ids,
                                         double temperature) {
  const c10::AutoGradMode grad_mode(with_gradient_);
  RW_CHECK(!head_weights_) << "a pass with gradient scores once";
  head_weights_.emplace(weights_, head_block(), output_block());
  if (with_gradient_) weights_->PrefetchWeights(head_block() - 1);
  BlockGraph graph;
  graph.output =
      NormedRows(rows, head_weights_->head.flat().narrow(0, 0, config_.width), &graph);  // [N, C]
  TokenLogprobs scores =
      TokenLogprobForward(graph.output.detach(), OutputWeight(head_weights_->output.flat()),
                          target_ids, temperature, options_.max_head_chunk_bytes);
  const TokenScores result = {scores.logprobs, scores.entropies, graph.output.detach()};
  if (with_gradient_) {
    head_ = std::move(graph);
    scores_ = std::move(scores);
    target_ids_ = target_ids;
    temperature_ = temperature;
  } else {
    head_weights_.reset();
  }
  return result;
}

at::Tensor ForwardPassImpl::Hidden(const at::Tensor& rows) {
  RW_CHECK(!with_gradient_) << "a pass with gradient has its hidden states from ScoreTokens";
  const c10::NoGradGuard no_grad;
  const HeadWeights weights(weights_, head_block(), output_block());  // both were prefetched
  BlockGraph graph;
  return NormedRows(rows, weights.head.flat().narrow(0, 0, config_.width), &graph);
}

at::Tensor ForwardPassImpl::Values(const at::Tensor& rows) {
  const c10::AutoGradMode grad_mode(with_gradient_);
  RW_CHECK(!head_weights_) << "a pass with gradient gives values once";
  head_weights_.emplace(weights_, head_block(), output_block());
  if (with_gradient_) weights_->PrefetchWeights(head_block() - 1);
  const at::Tensor flat = head_weights_->head.flat();
  BlockGraph graph;
  const at::Tensor normed = NormedRows(rows, flat.narrow(0, 0, config_.width), &graph);  // [N, C]
  const auto leaves =
      MakeLeaves({flat.narrow(0, config_.width, config_.width).view({1, config_.width}),
                  flat.narrow(0, 2 * config_.width, 1)},
                 with_gradient_);
  graph.weights.insert(graph.weights.end(), leaves.begin(), leaves.end());
  const at::ScalarType type = normed.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  graph.output =
      at::linear(normed.to(type), leaves[0].to(type), leaves[1].to(type)).squeeze(1);  // [N]
  const at::Tensor values = graph.output.detach();
  if (with_gradient_) {
    head_ = std::move(graph);
  } else {
    head_weights_.reset();
  }
  return values;
}

// The head's own graph backward; the head is left for good. Returns d_hidden [T, C].
at::Tensor ForwardPassImpl::BackwardHead(const std::vector<at::Tensor>& gradients,
                                         const at::Tensor& d_output) {
  hidden_.reset();
  const at::Tensor d_hidden = BackwardGraph(std::exchange(head_, {}), gradients, d_output);
  head_weights_.reset();
  weights_->GradientReady(head_block());
  return d_hidden;
}

void ForwardPassImpl::BackwardScores(const at::Tensor& d_logprobs, const at::Tensor& d_entropies,
                                     const at::Tensor& d_hidden) {
  RW_CHECK(with_gradient_ && scores_.logprobs.defined())
      << "BackwardScores follows one ScoreTokens with gradient";
  at::Tensor d_normed =
      TokenLogprobBackward(head_.output.detach(), OutputWeight(head_weights_->output.flat()),
                           target_ids_, temperature_, std::exchange(scores_, {}), d_logprobs,
                           d_entropies, OutputWeight(weights_->GradientBuffer(output_block())),
                           options_.max_head_chunk_bytes);  // [N, C]
  if (d_hidden.defined()) d_normed += d_hidden;
  BackwardBlocks(
      BackwardHead({weights_->GradientBuffer(head_block()).narrow(0, 0, config_.width)}, d_normed));
}

void ForwardPassImpl::BackwardValues(const at::Tensor& d_values) {
  RW_CHECK(with_gradient_ && head_.output.defined())
      << "BackwardValues follows one Values with gradient";
  const at::Tensor flat = weights_->GradientBuffer(head_block());
  BackwardBlocks(
      BackwardHead({flat.narrow(0, 0, config_.width),
                    flat.narrow(0, config_.width, config_.width).view({1, config_.width}),
                    flat.narrow(0, 2 * config_.width, 1)},
                   d_values.to(head_.output.scalar_type())));
}

at::Tensor ForwardPassImpl::BackwardBlock(int block, const at::Tensor& flat,
                                          const at::Tensor& d_output) {
  BlockGraph graph = std::move(blocks_.back());
  blocks_.pop_back();
  if (options_.recompute_activations) {
    const c10::AutoGradMode grad_mode(true);
    graph = RunBlock(graph.input, flat);
  }
  RW_CHECK(graph.weights[0].is_alias_of(flat)) << "block " << block << " came back in other memory";
  return BackwardGraph(std::move(graph),
                       ListTensors(SplitBlock(weights_->GradientBuffer(block), block_shapes_)),
                       d_output);
}

void ForwardPassImpl::BackwardBlocks(at::Tensor d_hidden) {
  for (int block = head_block() - 1; block >= 1; --block) {
    {
      const AcquiredWeights acquired(weights_, block);
      if (block > 1) weights_->PrefetchWeights(block - 1);
      if (!is_empty()) d_hidden = BackwardBlock(block, acquired.flat(), d_hidden);
    }
    weights_->GradientReady(block);
  }
  const at::Tensor gradient =
      weights_->GradientBuffer(0).view({config_.vocabulary_size, config_.width});
  const c10::NoGradGuard no_grad;
  gradient.index_add_(0, token_ids_, d_hidden.to(gradient.scalar_type()));
  weights_->GradientReady(0);
}

}  // namespace

Transformer::Transformer(const ModelConfig& config, HeadKind head, WeightProvider* weights,
                         TransformerOptions options)
    : impl_(std::make_unique<Impl>(config, head, weights, options)) {}

Transformer::~Transformer() = default;

const ParameterLayout& Transformer::layout() const { return impl_->layout; }

std::unique_ptr<ForwardPass> Transformer::Forward(const PackedTokens& tokens, bool with_gradient) {
  RW_CHECK(tokens.token_ids.dim() == 1 && tokens.token_ids.sizes() == tokens.positions.sizes() &&
           !tokens.offsets.empty() && tokens.offsets.back() == tokens.token_ids.size(0))
      << "token_ids and positions [T], offsets to T";
  impl_->GrowRotationTables(tokens.positions);
  BlockContext context;
  context.config = &impl_->config;
  if (tokens.token_ids.size(0) > 0) {
    context.attention = PlanAttention(tokens.offsets, tokens.token_ids.device());
  }
  auto pass = std::make_unique<ForwardPassImpl>(
      impl_->config, impl_->options, impl_->layout, impl_->block_shapes, impl_->weights, tokens,
      impl_->config.is_tied && impl_->head == HeadKind::kLanguageModel, with_gradient);
  pass->Run(std::move(context), impl_->cosines, impl_->sines, tokens.positions);
  return pass;
}

}  // namespace routewright
