// The reference, in plain ATen; it runs on any device.
#include "kernels/token_logprob/token_logprob.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/amax.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/log.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/sum.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "common/check.h"

namespace switchyard {
namespace {

// Two reused [chunk, V] buffers and the operands in the type that sums are made in.
class Head {
 public:
  Head(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& targets,
       double temperature)
      : num_rows_(hidden.size(0)), inverse_temperature_(1.0 / temperature) {
    SY_CHECK(hidden.dim() == 2 && weight.dim() == 2 && hidden.size(1) == weight.size(1))
        << "[N, C] and [V, C]";
    SY_CHECK(targets.dim() == 1 && targets.size(0) == num_rows_) << "one target per row";
    SY_CHECK(temperature > 0) << temperature;
    const at::ScalarType type = hidden.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    hidden_ = hidden.to(type);
    weight_ = weight.to(type);
    targets_ = targets;
    chunk_ = std::min(TokenLogprobChunk(weight.size(0)), std::max<int64_t>(num_rows_, 1));
    logits_ = at::empty({chunk_, weight.size(0)}, hidden_.options());
    scratch_ = at::empty({chunk_, weight.size(0)}, hidden_.options());
  }

  int64_t num_rows() const { return num_rows_; }
  int64_t chunk() const { return chunk_; }
  double inverse_temperature() const { return inverse_temperature_; }
  at::TensorOptions options() const { return hidden_.options(); }
  const at::Tensor& weight() const { return weight_; }  // [V, C]
  at::Tensor Hidden(int64_t begin, int64_t n) const {
    return hidden_.narrow(0, begin, n);
  }  // [n, C]
  at::Tensor Targets(int64_t begin, int64_t n) const {
    return targets_.narrow(0, begin, n).unsqueeze(1);
  }                                                                         // [n, 1]
  at::Tensor Scratch(int64_t n) const { return scratch_.narrow(0, 0, n); }  // [n, V]

  // Rows [begin, begin + n) of the logits over the temperature, in the first buffer: [n, V].
  at::Tensor Logits(int64_t begin, int64_t n) const {
    at::Tensor logits = logits_.narrow(0, 0, n);
    at::mm_out(logits, Hidden(begin, n), weight_.t());
    return logits.mul_(inverse_temperature_);
  }

 private:
  int64_t num_rows_;
  double inverse_temperature_;
  int64_t chunk_;
  at::Tensor hidden_, weight_, targets_, logits_, scratch_;
};

}  // namespace

int64_t TokenLogprobChunk(int64_t vocabulary_size) {
  const int64_t row_bytes = 2 * 4 * vocabulary_size;
  const int64_t most = std::max<int64_t>(1, (int64_t{40} << 20) / row_bytes);
  return std::min(most, std::max<int64_t>(32, (int64_t{4} << 20) / row_bytes));
}

TokenLogprobs TokenLogprobForward(const at::Tensor& hidden, const at::Tensor& weight,
                                  const at::Tensor& targets, double temperature) {
  const c10::NoGradGuard no_grad;
  const Head head(hidden, weight, targets, temperature);
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
                                const at::Tensor& d_entropies, at::Tensor weight_gradient) {
  const c10::NoGradGuard no_grad;
  const Head head(hidden, weight, targets, temperature);
  SY_CHECK(weight_gradient.sizes() == weight.sizes()) << "the gradient has the weight's shape";
  at::Tensor d_hidden = at::empty(hidden.sizes(), head.options());
  const auto column = [](const at::Tensor& values, int64_t begin, int64_t n) {
    return values.narrow(0, begin, n).unsqueeze(1);  // [n, 1]
  };
  for (int64_t begin = 0; begin < head.num_rows(); begin += head.chunk()) {
    const int64_t n = std::min(head.chunk(), head.num_rows() - begin);
    const at::Tensor d_logprob = column(d_logprobs, begin, n).to(head.options());
    const at::Tensor d_entropy = column(d_entropies, begin, n).to(head.options());
    at::Tensor d_logits =
        head.Logits(begin, n).sub_(column(forward.log_normalizers, begin, n));  // log p
    at::Tensor probabilities = head.Scratch(n);
    at::exp_out(probabilities, d_logits);
    d_logits.add_(column(forward.entropies, begin, n))
        .mul_(-d_entropy)
        .sub_(d_logprob)
        .mul_(probabilities);
    d_logits.scatter_add_(1, head.Targets(begin, n), d_logprob);
    d_logits.mul_(head.inverse_temperature());
    at::Tensor d_rows = d_hidden.narrow(0, begin, n);
    at::mm_out(d_rows, d_logits, head.weight());
    weight_gradient.addmm_(d_logits.t(), head.Hidden(begin, n));
  }
  return d_hidden.to(hidden.scalar_type());
}

}  // namespace switchyard
