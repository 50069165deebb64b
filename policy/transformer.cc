#include "policy/transformer.h"

#include <ATen/ops/embedding.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/rms_norm.h>
#include <ATen/ops/tensor.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/check.h"
#include "kernels/token_logprob/token_logprob.h"
#include "policy/transformer_block.h"

namespace switchyard {
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

// Runs the graph backward: adds the weights' gradients into `gradients` (views like graph.weights),
// returns the input's.
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
  Impl(const ModelConfig& model_config, HeadKind head_kind, WeightProvider* provider)
      : config(model_config), head(head_kind), layout(model_config, head_kind), weights(provider) {}

  // Makes the tables reach the largest position.
  void GrowRotationTables(const at::Tensor& positions);

  const ModelConfig config;
  const HeadKind head;
  const ParameterLayout layout;
  WeightProvider* const weights;
  at::Tensor cosines, sines;  // [positions seen so far, D/2] f64, on the compute device
};

// Angles are made in f64, so that no type or device gives other tables.
void Transformer::Impl::GrowRotationTables(const at::Tensor& positions) {
  const int64_t needed = positions.max().item<int64_t>() + 1;
  SY_CHECK(needed <= config.max_positions)
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
  ForwardPassImpl(const ModelConfig& config, const ParameterLayout& layout, WeightProvider* weights,
                  const PackedTokens& tokens, bool is_tied, bool with_gradient)
      : config_(config),
        layout_(layout),
        weights_(weights),
        token_ids_(tokens.token_ids),
        is_tied_(is_tied),
        with_gradient_(with_gradient) {}

  // Embedding and transformer blocks. `context` is needed here only: each graph keeps what its
  // backward uses.
  void Run(BlockContext context, const at::Tensor& cosines, const at::Tensor& sines,
           const at::Tensor& positions);

  TokenScores ScoreTokens(const at::Tensor& rows, const at::Tensor& target_ids,
                          double temperature) override;
  at::Tensor Values(const at::Tensor& rows) override;
  void BackwardScores(const at::Tensor& d_logprobs, const at::Tensor& d_entropies) override;
  void BackwardValues(const at::Tensor& d_values) override;

 private:
  int head_block() const { return static_cast<int>(layout_.blocks().size()) - 1; }
  // The block that holds the output weight [V, C], at the end of its buffer.
  int output_block() const { return is_tied_ ? 0 : head_block(); }
  at::Tensor OutputWeight(const at::Tensor& flat) const {
    const int64_t n = config_.vocabulary_size * config_.width;
    return flat.narrow(0, flat.size(0) - n, n).view({config_.vocabulary_size, config_.width});
  }
  at::Tensor NormedRows(const at::Tensor& rows, const at::Tensor& norm_weight, BlockGraph* graph);
  at::Tensor BackwardHead(const std::vector<at::Tensor>& gradients, const at::Tensor& d_output);
  void BackwardBlocks(at::Tensor d_hidden);

  const ModelConfig& config_;
  const ParameterLayout& layout_;
  WeightProvider* const weights_;
  const at::Tensor token_ids_;
  const bool is_tied_;
  const bool with_gradient_;
  at::Tensor hidden_;               // [T, C] after the last block
  std::vector<BlockGraph> blocks_;  // with gradient only
  BlockGraph head_;                 // its output: normed rows [N, C], or values [N]
  at::Tensor target_ids_;
  double temperature_ = 1.0;
  TokenLogprobs scores_;
};

void ForwardPassImpl::Run(BlockContext context, const at::Tensor& cosines, const at::Tensor& sines,
                          const at::Tensor& positions) {
  const c10::AutoGradMode grad_mode(with_gradient_);
  {
    const AcquiredWeights embedding(weights_, 0);
    const c10::NoGradGuard no_grad;
    hidden_ = at::embedding(embedding.flat().view({config_.vocabulary_size, config_.width}),
                            token_ids_);  // [T, C]
  }
  context.cosines = SequenceCosines(cosines, positions, hidden_.scalar_type());
  context.sines = SequenceCosines(sines, positions, hidden_.scalar_type());
  for (int block = 1; block < head_block(); ++block) {
    const AcquiredWeights acquired(weights_, block);
    BlockGraph graph;
    graph.weights = MakeLeaves(SplitBlock(acquired.flat(), config_), with_gradient_);
    graph.input = MakeLeaves({hidden_}, with_gradient_)[0];
    graph.output = BlockForward(graph.input, graph.weights, context);
    hidden_ = graph.output.detach();
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
  const AcquiredWeights head(weights_, head_block());
  const AcquiredWeights output(weights_, output_block());
  BlockGraph graph;
  graph.output = NormedRows(rows, head.flat().narrow(0, 0, config_.width), &graph);
  TokenLogprobs scores = TokenLogprobForward(graph.output.detach(), OutputWeight(output.flat()),
                                             target_ids, temperature);
  const TokenScores result = {scores.logprobs, scores.entropies};
  if (with_gradient_) {
    SY_CHECK(!head_.output.defined()) << "a pass with gradient scores once";
    head_ = std::move(graph);
    scores_ = std::move(scores);
    target_ids_ = target_ids;
    temperature_ = temperature;
  }
  return result;
}

at::Tensor ForwardPassImpl::Values(const at::Tensor& rows) {
  const c10::AutoGradMode grad_mode(with_gradient_);
  const AcquiredWeights head(weights_, head_block());
  BlockGraph graph;
  const at::Tensor normed =
      NormedRows(rows, head.flat().narrow(0, 0, config_.width), &graph);  // [N, C]
  const auto leaves =
      MakeLeaves({head.flat().narrow(0, config_.width, config_.width).view({1, config_.width}),
                  head.flat().narrow(0, 2 * config_.width, 1)},
                 with_gradient_);
  graph.weights.insert(graph.weights.end(), leaves.begin(), leaves.end());
  const at::ScalarType type = normed.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  graph.output =
      at::linear(normed.to(type), leaves[0].to(type), leaves[1].to(type)).squeeze(1);  // [N]
  const at::Tensor values = graph.output.detach();
  if (with_gradient_) {
    SY_CHECK(!head_.output.defined()) << "a pass with gradient gives values once";
    head_ = std::move(graph);
  }
  return values;
}

// The head's own graph backward, the head's gradient ready. Returns d_hidden [T, C].
at::Tensor ForwardPassImpl::BackwardHead(const std::vector<at::Tensor>& gradients,
                                         const at::Tensor& d_output) {
  hidden_.reset();
  const at::Tensor d_hidden = BackwardGraph(std::exchange(head_, {}), gradients, d_output);
  weights_->GradientReady(head_block());
  return d_hidden;
}

void ForwardPassImpl::BackwardScores(const at::Tensor& d_logprobs, const at::Tensor& d_entropies) {
  SY_CHECK(with_gradient_ && scores_.logprobs.defined())
      << "BackwardScores follows one ScoreTokens with gradient";
  at::Tensor d_hidden;
  {
    const AcquiredWeights head(weights_, head_block());
    const AcquiredWeights output(weights_, output_block());
    const at::Tensor d_normed =
        TokenLogprobBackward(head_.output.detach(), OutputWeight(output.flat()), target_ids_,
                             temperature_, std::exchange(scores_, {}), d_logprobs, d_entropies,
                             OutputWeight(weights_->GradientBuffer(output_block())));  // [N, C]
    d_hidden = BackwardHead({weights_->GradientBuffer(head_block()).narrow(0, 0, config_.width)},
                            d_normed);
  }
  BackwardBlocks(std::move(d_hidden));
}

void ForwardPassImpl::BackwardValues(const at::Tensor& d_values) {
  SY_CHECK(with_gradient_ && head_.output.defined())
      << "BackwardValues follows one Values with gradient";
  at::Tensor d_hidden;
  {
    const AcquiredWeights head(weights_, head_block());
    const at::Tensor flat = weights_->GradientBuffer(head_block());
    d_hidden = BackwardHead({flat.narrow(0, 0, config_.width),
                             flat.narrow(0, config_.width, config_.width).view({1, config_.width}),
                             flat.narrow(0, 2 * config_.width, 1)},
                            d_values.to(head_.output.scalar_type()));
  }
  BackwardBlocks(std::move(d_hidden));
}

void ForwardPassImpl::BackwardBlocks(at::Tensor d_hidden) {
  for (int block = head_block() - 1; block >= 1; --block) {
    {
      const AcquiredWeights acquired(weights_, block);
      BlockGraph graph = std::move(blocks_.back());
      blocks_.pop_back();
      SY_CHECK(graph.weights[0].is_alias_of(acquired.flat()))
          << "block " << block << " came back in other memory";
      d_hidden = BackwardGraph(std::move(graph),
                               SplitBlock(weights_->GradientBuffer(block), config_), d_hidden);
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

Transformer::Transformer(const ModelConfig& config, HeadKind head, WeightProvider* weights)
    : impl_(std::make_unique<Impl>(config, head, weights)) {}

Transformer::~Transformer() = default;

const ParameterLayout& Transformer::layout() const { return impl_->layout; }

std::unique_ptr<ForwardPass> Transformer::Forward(const PackedTokens& tokens, bool with_gradient) {
  SY_CHECK(tokens.token_ids.dim() == 1 && tokens.token_ids.sizes() == tokens.positions.sizes() &&
           !tokens.offsets.empty() && tokens.offsets.back() == tokens.token_ids.size(0))
      << "token_ids and positions [T], offsets to T";
  impl_->GrowRotationTables(tokens.positions);
  BlockContext context;
  context.config = &impl_->config;
  context.attention = PlanAttention(tokens.offsets, tokens.token_ids.device());
  auto pass = std::make_unique<ForwardPassImpl>(
      impl_->config, impl_->layout, impl_->weights, tokens,
      impl_->config.is_tied && impl_->head == HeadKind::kLanguageModel, with_gradient);
  pass->Run(std::move(context), impl_->cosines, impl_->sines, tokens.positions);
  return pass;
}

}  // namespace switchyard
