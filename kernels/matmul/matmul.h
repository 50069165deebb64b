// Matrix products of the trainer's model, forward and backward, each with the fastest library that
// LibTorch carries for them. On CPUs with AVX-512 that are not Intel's, MKL, which at::mm calls for
// f32, keeps to AVX2; oneDNN does not, and is twice as fast there. Everything else, and what is too
// small to matter, goes to ATen. Which of the two is decided by shapes, types and the processor
// alone, so that a run repeats bit by bit on its machine.
#pragma once

#include <ATen/core/Tensor.h>

namespace routewright {

// to [m, n] ← a [m, k] · b [k, n]. a and b may be transposed views.
void MatmulInto(const at::Tensor& a, const at::Tensor& b, at::Tensor to);
// to [m, n] += a [m, k] · b [k, n]. `to` may be wider than a and b, f32 where they are bf16.
void AddMatmul(const at::Tensor& a, const at::Tensor& b, at::Tensor to);

// x [T, K] · weight [N, K]ᵀ + bias [N] (or undefined)      returns [T, N]
// Differentiable. Where weight.grad() is defined the backward adds to it in place and hands
// autograd nothing more; else autograd accumulates as ever.
at::Tensor Linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias = {});

// Lets oneDNN keep the compiled kernels of the last 64 shapes instead of 1,024: packed batches have
// new shapes in every step, and a kernel takes 0.6 MB. Before the first product, while there is one
// thread; ONEDNN_PRIMITIVE_CACHE_CAPACITY in the environment overrides it.
void LimitKernelCache();

}  // namespace routewright
