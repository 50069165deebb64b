// The reference, in plain ATen; it runs on any device.
#include "kernels/token_logprob/token_logprob.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/amax.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/log.h>
#include <ATen/ops/sum.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "common/check.h"
#include "kernels/matmul/matmul.h"

namespace routewright {
namespace {

// Two reused [chunk, V] buffers and the operands in the type that sums are made in.
class Head {
 public:
  Head(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& targets,
       double temperature, int64_t max_chunk_bytes)
      : num_rows_(hidden.size(0)), inverse_temperature_(1.0 / temperature) {
    RW_CHECK(hidden.dim() == 2 && weight.dim() == 2 && hidden.size(1) == weight.size(1))
        << "[N, C] and [V, C]";
    RW_CHECK(targets.dim() == 1 && targets.size(0) == num_rows_) << "one target per row";
    RW_CHECK(temperature > 0) << temperature;
    const at::ScalarType type = hidden.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    hidden_ = hidden;
    options_ = hidden.options().dtype(type);
    weight_ = weight;
    targets_ = targets;
    chunk_ = std::min(TokenLogprobChunk(weight.size(0), max_chunk_bytes),
                      std::max<int64_t>(num_rows_, 1));
    logits_ = at::empty({chunk_, weight.size(0)}, options_);
    scratch_ = at::empty({chunk_, weight.size(0)}, options_);
  }

  int64_t num_rows() const { return num_rows_; }
  int64_t chunk() const { return chunk_; }
  double inverse_temperature() const { return inverse_temperature_; }
  at::TensorOptions options() const { return options_; }  // of the sums
  at::Tensor Hidden(int64_t begin, int64_t n) const {
    return hidden_.narrow(0, begin, n).to(options_);
  }  // [n, C]
  at::Tensor Targets(int64_t begin, int64_t n) const {
    return targets_.narrow(0, begin, n).unsqueeze(1);
  }                                                                         // [n, 1]
  at::Tensor Scratch(int64_t n) const { return scratch_.narrow(0, 0, n); }  // [n, V]

  // Rows [begin, begin + n) of the logits over the temperature, in the first buffer: [n, V].
  at::Tensor Logits(int64_t begin, int64_t n) const {
    at::Tensor logits = logits_.narrow(0, 0, n);
    ForEachSlice([&](int64_t first, const at::Tensor& slice) {  // [S, C]
      at::Tensor part = logits.narrow(1, first, slice.size(0));
      MatmulInto(Hidden(begin, n), slice.t(), part);
    });
    return logits.mul_(inverse_temperature_);
  }

  // d_rows [n, C] ← d_logits [n, V] · weight.
  void BackwardToHidden(const at::Tensor& d_logits, at::Tensor d_rows) const {
    ForEachSlice([&](int64_t first, const at::Tensor& slice) {
      const at::Tensor part = d_logits.narrow(1, first, slice.size(0));
      if (first == 0) {
        MatmulInto(part, slice, d_rows);
      } else {
        AddMatmul(part, slice, d_rows);
      }
    });
  }

 private:
  // The weight in the type of the sums: as it is, or a widened slice of its rows at a time.
  template <typename Use>
  void ForEachSlice(const Use& use) const {
    if (weight_.dtype() == options_.dtype()) return use(0, weight_);
    const int64_t row_bytes = weight_.size(1) * static_cast<int64_t>(logits_.element_size());
    const int64_t rows = std::max<int64_t>(1, kSliceBytes / row_bytes);
    for (int64_t first = 0; first < weight_.size(0); first += rows) {
      const int64_t count = std::min(rows, weight_.size(0) - first);
      use(first, weight_.narrow(0, first, count).to(options_));
    }
  }

  static constexpr int64_t kSliceBytes = int64_t{8} << 20;

  int64_t num_rows_;
  double inverse_temperature_;
  int64_t chunk_;
  at::TensorOptions options_;
  at::Tensor hidden_, weight_, targets_, logits_, scratch_;
};

}  // namespace

TokenLogprobs TokenLogprobForward(const at::Tensor& hidden, const at::Tensor& weight,
                                  const at::Tensor& targets, double temperature,
                                  int64_t max_chunk_bytes) {
  const c10::NoGradGuard no_grad;
  const Head head(hidden, weight, targets, temperature, max_chunk_bytes);
  TokenLogprobs result;
  result.logprobs = at::empty({head.num_rows()}, head.options());
  result.entropies = at::empty({head.num_rows()}, head.options());
  result.log_normalizers = at::empty({head.num_rows()}, head.options());
  for (int64_t begin = 0; begin < head.num_rows(); begin += head.chunk()) {
    const int64_t n = std::min(head.chunk(), head.num_rows() - begin);
    at::Tensor logits = head.Logits(begin, n);                           // [n, V]
    const at::Tensor largest = at::amax(logits, {1}, /*keepdim=*/true);  // [n, 1]
    logits.sub_(largest);
    at::Tensor weights = head.Scratch(n);
    at::exp_out(weights, logits);
    const at::Tensor sum = at::sum(weights, {1});  // [n]
    const at::Tensor log_sum = at::log(sum);
    const at::Tensor target = at::gather(logits, 1, head.Targets(begin, n)).squeeze(1);
    weights.mul_(logits);
    result.logprobs.narrow(0, begin, n).copy_(target - log_sum);
    result.entropies.narrow(0, begin, n).copy_(log_sum - at::sum(weights, {1}) / sum);
    result.log_normalizers.narrow(0, begin, n).copy_(log_sum + largest.squeeze(1));
  }
  return result;
}

at::Tensor TokenLogprobBackward(const at::Tensor& hidden, const at::Tensor& weight,
                                const at::Tensor& targets, double temperature,
                                const TokenLogprobs& forward, const at::Tensor& d_logprobs,
                                const at::Tensor& d_entropies, at::Tensor weight_gradient,
                                int64_t max_chunk_bytes) {
  const c10::NoGradGuard no_grad;
  const Head head(hidden, weight, targets, temperature, max_chunk_bytes);
  RW_CHECK(weight_gradient.sizes() == weight.sizes()) << "the gradient has the weight's shape";
  const at::Tensor d_hidden = at::empty_like(hidden);
  const bool is_wide = hidden.dtype() == head.options().dtype();
  const auto column = [](const at::Tensor& values, int64_t begin, int64_t n) {
    return values.narrow(0, begin, n).unsqueeze(1);  // [n, 1]
  };
  for (int64_t begin = 0; begin < head.num_rows(); begin += head.chunk()) {
    const int64_t n = std::min(head.chunk(), head.num_rows() - begin);
    const at::Tensor d_logprob = column(d_logprobs, begin, n).to(head.options());
    const at::Tensor d_entropy = column(d_entropies, begin, n).to(head.options());
    // Log p.
    at::Tensor d_logits = head.Logits(begin, n).sub_(column(forward.log_normalizers, begin, n));
    at::Tensor probabilities = head.Scratch(n);
    at::exp_out(probabilities, d_logits);
    d_logits.add_(column(forward.entropies, begin, n))
        .mul_(-d_entropy)
        .sub_(d_logprob)
        .mul_(probabilities);
    d_logits.scatter_add_(1, head.Targets(begin, n), d_logprob);
    d_logits.mul_(head.inverse_temperature());
    const at::Tensor d_rows = d_hidden.narrow(0, begin, n);
    const at::Tensor d_wide = is_wide ? d_rows : at::empty({n, hidden.size(1)}, head.options());
    head.BackwardToHidden(d_logits, d_wide);
    if (!is_wide) d_rows.copy_(d_wide);
    AddMatmul(d_logits.t(), head.Hidden(begin, n), weight_gradient);
  }
  return d_hidden;
}

}  // namespace routewright
