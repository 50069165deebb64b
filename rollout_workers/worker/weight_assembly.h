// Puts a policy version together from the chunks of the weight wire. Nothing is believed:
// the manifest must describe exactly the tensors of this policy, and every chunk and every
// tensor must have its checksum.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "policy/model/parameter_layout.h"
#include "policy/model/policy_weights.h"
#include "proto/learner_service.pb.h"

namespace routewright {

// One thread.
class WeightAssembly {
 public:
  // Fails: kFailedPrecondition naming the tensor by which the learner's policy differs
  // from `layout`; kDataLoss if the manifest contradicts itself. Memory is taken only
  // for what the layout has.
  static absl::StatusOr<WeightAssembly> Begin(const WeightManifest& manifest,
                                              const ParameterLayout& layout);

  // Chunks in order, from next_offset() on. Fails: kDataLoss for a chunk of another version, out of
  // order, past the end or with a wrong checksum; it is then not taken and may be fetched again.
  absl::Status Add(const WeightChunk& chunk);

  uint64_t next_offset() const { return next_offset_; }
  bool is_complete() const { return next_offset_ == manifest_.total_bytes(); }

  // The weights, once complete. Fails: kDataLoss naming the tensor whose checksum is wrong.
  absl::StatusOr<std::shared_ptr<const PolicyWeights>> Finish();

 private:
  WeightManifest manifest_;
  std::map<std::string, HostTensor> tensors_;
  uint64_t next_offset_ = 0;
  int next_tensor_ = 0;  // of the manifest, into which next_offset_ falls
};

}  // namespace routewright
