// The weight wire's source: the newest policy version as one stream of bytes behind a manifest: the
// tensors one after the other in the order of their names, f32 little-endian. Thread-safe.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "policy/model/policy_weights.h"
#include "proto/learner_service.pb.h"

namespace routewright {

class WeightPublisher {
 public:
  // In place of the version published before.
  void Publish(int64_t policy_version, std::shared_ptr<const PolicyWeights> weights)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Drops the published version's weights, so that the next one's can take their memory; fetches of
  // them, also under way, then find nothing. newest_version() stays.
  void Retire() ABSL_LOCKS_EXCLUDED(mutex_);
  // 0 before the first Publish.
  int64_t newest_version() const ABSL_LOCKS_EXCLUDED(mutex_);
  // Of that version's tensors, whether or not it was retired.
  uint32_t newest_crc32c() const ABSL_LOCKS_EXCLUDED(mutex_);

  // Fails: kNotFound if the version is no longer (or not yet) there; 0 asks for the newest.
  absl::StatusOr<WeightManifest> Manifest(int64_t policy_version) const ABSL_LOCKS_EXCLUDED(mutex_);
  // The bytes from `offset`, at most `max_bytes`; empty at the stream's end.
  // Fails: kNotFound, kOutOfRange.
  absl::StatusOr<WeightChunk> ReadChunk(int64_t policy_version, uint64_t offset,
                                        uint64_t max_bytes) const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Version {
    WeightManifest manifest;
    std::shared_ptr<const PolicyWeights> weights;
  };
  std::shared_ptr<const Version> Find(int64_t policy_version) const ABSL_LOCKS_EXCLUDED(mutex_);

  mutable absl::Mutex mutex_;
  std::shared_ptr<const Version> newest_ ABSL_GUARDED_BY(mutex_);
  int64_t newest_version_ ABSL_GUARDED_BY(mutex_) = 0;
  uint32_t newest_crc32c_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace routewright
