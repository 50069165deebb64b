#include "trainer/rollout_service/weight_publisher.h"

#include <algorithm>
#include <bit>

#include "absl/strings/str_cat.h"
#include "common/crc32c.h"

namespace routewright {
namespace {

static_assert(std::endian::native == std::endian::little,
              "weights cross the wire as little-endian f32");

std::string_view Bytes(const HostTensor& tensor) {
  return {reinterpret_cast<const char*>(tensor.values.data()),
          tensor.values.size() * sizeof(float)};
}

}  // namespace

void WeightPublisher::Publish(int64_t policy_version,
                              std::shared_ptr<const PolicyWeights> weights) {
  auto version = std::make_shared<Version>();
  version->manifest.set_policy_version(policy_version);
  uint64_t offset = 0;
  std::string checksums;
  for (const auto& [name, tensor] : weights->tensors()) {
    WeightTensor* entry = version->manifest.add_tensors();
    entry->set_name(name);
    entry->mutable_shape()->Assign(tensor.shape.begin(), tensor.shape.end());
    entry->set_offset(offset);
    entry->set_num_bytes(Bytes(tensor).size());
    entry->set_crc32c(Crc32c(Bytes(tensor)));
    absl::StrAppend(&checksums, name, " ", entry->crc32c(), "\n");
    offset += Bytes(tensor).size();
  }
  version->manifest.set_total_bytes(offset);
  version->weights = std::move(weights);

  absl::MutexLock lock(&mutex_);
  newest_ = std::move(version);
  newest_version_ = policy_version;
  newest_crc32c_ = Crc32c(checksums);
}

void WeightPublisher::Retire() {
  absl::MutexLock lock(&mutex_);
  newest_ = nullptr;
}

int64_t WeightPublisher::newest_version() const {
  absl::MutexLock lock(&mutex_);
  return newest_version_;
}

uint32_t WeightPublisher::newest_crc32c() const {
  absl::MutexLock lock(&mutex_);
  return newest_crc32c_;
}

std::shared_ptr<const WeightPublisher::Version> WeightPublisher::Find(
    int64_t policy_version) const {
  absl::MutexLock lock(&mutex_);
  const bool is_there =
      newest_ != nullptr && (policy_version == 0 || policy_version == newest_version_);
  return is_there ? newest_ : nullptr;
}

absl::StatusOr<WeightManifest> WeightPublisher::Manifest(int64_t policy_version) const {
  const auto version = Find(policy_version);
  if (version == nullptr)
    return absl::NotFoundError(absl::StrCat("no weights of policy version ", policy_version));
  return version->manifest;
}

absl::StatusOr<WeightChunk> WeightPublisher::ReadChunk(int64_t policy_version, uint64_t offset,
                                                       uint64_t max_bytes) const {
  const auto version = Find(policy_version);
  if (version == nullptr)
    return absl::NotFoundError(absl::StrCat("no weights of policy version ", policy_version));
  const WeightManifest& manifest = version->manifest;
  if (offset > manifest.total_bytes()) {
    return absl::OutOfRangeError(
        absl::StrCat("offset ", offset, " of ", manifest.total_bytes(), " bytes"));
  }
  std::string data;
  data.reserve(std::min(max_bytes, manifest.total_bytes() - offset));
  // The first tensor that ends after `offset`.
  auto tensor = std::partition_point(
      manifest.tensors().begin(), manifest.tensors().end(),
      [&](const WeightTensor& t) { return t.offset() + t.num_bytes() <= offset; });
  for (; tensor != manifest.tensors().end() && data.size() < max_bytes; ++tensor) {
    const std::string_view bytes = Bytes(*version->weights->Find(tensor->name()));
    const uint64_t begin = offset + data.size() - tensor->offset();
    data.append(bytes.substr(begin, max_bytes - data.size()));
  }
  WeightChunk chunk;
  chunk.set_policy_version(manifest.policy_version());
  chunk.set_offset(offset);
  chunk.set_crc32c(Crc32c(data));
  chunk.set_data(std::move(data));
  return chunk;
}

}  // namespace routewright
