#include "kernels/matmul/matmul.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/sum.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cstdlib>
#include <optional>

#include "kernels/cpu_level.h"

// LibTorch exports its door to oneDNN but ships no header for it: result ← β·result + α·a·b.
namespace at::native {
void mkldnn_matmul(const Tensor& a, const Tensor& b, const Tensor& result, float beta, float alpha);
}  // namespace at::native

namespace routewright {
namespace {

// Multiply-adds from which oneDNN's 10 µs for a call are worth it.
constexpr int64_t kFewestMultiplyAdds = int64_t{1} << 21;

bool IsMklSlowHere() {
#if defined(__x86_64__)
  static const bool is_slow = BestCpuLevel() == CpuLevel::kAvx512 && !__builtin_cpu_is("intel");
  return is_slow;
#else
  return false;
#endif
}

bool IsDenseMatrix(const at::Tensor& matrix) {
  return matrix.device().is_cpu() && matrix.scalar_type() == at::kFloat && matrix.dim() == 2 &&
         (matrix.is_contiguous() || matrix.t().is_contiguous());
}

bool IsForOneDnn(const at::Tensor& a, const at::Tensor& b, const at::Tensor& to) {
  return IsMklSlowHere() && IsDenseMatrix(a) && IsDenseMatrix(b) && IsDenseMatrix(to) &&
         to.is_contiguous() && a.size(0) * a.size(1) * b.size(1) >= kFewestMultiplyAdds;
}

class LinearFunction final : public torch::autograd::Function<LinearFunction> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& weight, const std::optional<at::Tensor>& bias) {
    context->save_for_backward({x, weight});
    context->saved_data["has_bias"] = bias.has_value();
    at::Tensor y = at::empty({x.size(0), weight.size(0)}, x.options());
    if (bias) {
      AddMatmul(x, weight.t(), y.copy_(bias->expand_as(y)));
    } else {
      MatmulInto(x, weight.t(), y);
    }
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list d_outputs) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1];
    const at::Tensor d_y = d_outputs[0].contiguous();
    at::Tensor d_x, d_weight, d_bias;
    if (context->needs_input_grad(0)) {
      d_x = at::empty(x.sizes(), x.options());
      MatmulInto(d_y, weight, d_x);
    }
    if (context->needs_input_grad(1)) {
      if (weight.grad().defined()) {
        AddMatmul(d_y.t(), x, weight.grad());
      } else {
        d_weight = at::empty(weight.sizes(), weight.options());
        MatmulInto(d_y.t(), x, d_weight);
      }
    }
    if (context->saved_data["has_bias"].toBool()) d_bias = at::sum(d_y, {0});
    return {d_x, d_weight, d_bias};
  }
};

}  // namespace

void MatmulInto(const at::Tensor& a, const at::Tensor& b, at::Tensor to) {
  if (IsForOneDnn(a, b, to)) {
    at::native::mkldnn_matmul(a, b, to, /*beta=*/0.0f, /*alpha=*/1.0f);
  } else {
    at::mm_out(to, a, b);
  }
}

void AddMatmul(const at::Tensor& a, const at::Tensor& b, at::Tensor to) {
  if (IsForOneDnn(a, b, to)) {
    at::native::mkldnn_matmul(a, b, to, /*beta=*/1.0f, /*alpha=*/1.0f);
  } else if (a.scalar_type() == to.scalar_type()) {
    to.addmm_(a, b);
  } else {
    to.add_(at::mm(a, b));
  }
}

at::Tensor Linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  if (x.is_cuda() || x.dim() != 2) return at::linear(x, weight, bias);
  return LinearFunction::apply(x, weight, bias.defined() ? std::make_optional(bias) : std::nullopt);
}

void LimitKernelCache() { setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64", /*overwrite=*/0); }

}  // namespace routewright
