// The seam between the model and whoever owns its parameters. The transformer asks for a block's
// weights when it uses them and hands the block's gradient back as the backward leaves it; it never
// knows whether the weights are replicated or sharded. One thread.
#pragma once

#include <ATen/core/Tensor.h>

namespace routewright {

class WeightProvider {
 public:
  virtual ~WeightProvider() = default;

  // Block `block`'s weights, flat [P], in the compute type and on the compute device, until
  // ReleaseWeights(block). Calls nest: a block acquired twice is released twice. The contents
  // must not be written. While a ForwardPass lives, a block comes back in the same storage each
  // time (its bytes may be dropped after a release and refilled at the next acquire): the
  // pass's graph refers to it.
  virtual at::Tensor AcquireWeights(int block) = 0;
  virtual void ReleaseWeights(int block) = 0;
  // `block` will be acquired next but one: a provider that fetches weights may begin to. Every call
  // is followed by that AcquireWeights.
  virtual void PrefetchWeights(int /*block*/) {}

  // The flat f32 [P] buffer (f64 where the weights are) into which the backward of `block` adds its
  // gradient; then GradientReady(block) once the backward has left it for good (the tied embedding:
  // after block 0, not after the head).
  virtual at::Tensor GradientBuffer(int block) = 0;
  virtual void GradientReady(int block) = 0;
};

}  // namespace routewright
