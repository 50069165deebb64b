#include "rollout_workers/worker/weight_assembly.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/check.h"
#include "common/crc32c.h"
#include "common/status_macros.h"

namespace routewright {
namespace {

static_assert(std::endian::native == std::endian::little,
              "weights cross the wire as little-endian f32");

absl::Status CheckTensor(const WeightTensor& tensor, uint64_t offset,
                         const ParameterLayout& layout) {
  int block = 0;
  const TensorSlot* slot = layout.Find(tensor.name(), &block);
  const std::string differs = "the learner trains another policy than this worker's policy.path: ";
  if (slot == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat(differs, "it has a tensor ", tensor.name()));
  }
  if (!std::equal(slot->shape.begin(), slot->shape.end(), tensor.shape().begin(),
                  tensor.shape().end())) {
    return absl::FailedPreconditionError(absl::StrCat(
        differs, "its ", tensor.name(), " has the shape [", absl::StrJoin(tensor.shape(), ", "),
        "], here [", absl::StrJoin(slot->shape, ", "), "]"));
  }
  if (tensor.offset() != offset ||
      tensor.num_bytes() != static_cast<uint64_t>(slot->num_elements) * sizeof(float)) {
    return absl::DataLossError(absl::StrCat("weight manifest: ", tensor.name(), " has ",
                                            tensor.num_bytes(), " bytes at ", tensor.offset(),
                                            ", which cannot be"));
  }
  return absl::OkStatus();
}

absl::Status CheckComplete(const std::map<std::string, HostTensor>& tensors,
                           const ParameterLayout& layout) {
  for (const BlockLayout& block : layout.blocks()) {
    for (const TensorSlot& slot : block.tensors) {
      if (tensors.count(slot.name) == 0) {
        return absl::FailedPreconditionError(absl::StrCat(
            "the learner trains another policy than this worker's policy.path: it has no tensor ",
            slot.name));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<WeightAssembly> WeightAssembly::Begin(const WeightManifest& manifest,
                                                     const ParameterLayout& layout) {
  WeightAssembly assembly;
  uint64_t offset = 0;
  for (const WeightTensor& tensor : manifest.tensors()) {
    RW_RETURN_IF_ERROR(CheckTensor(tensor, offset, layout));
    HostTensor host{{tensor.shape().begin(), tensor.shape().end()},
                    std::vector<float>(tensor.num_bytes() / sizeof(float))};
    if (!assembly.tensors_.emplace(tensor.name(), std::move(host)).second) {
      return absl::DataLossError(absl::StrCat("weight manifest: ", tensor.name(), " comes twice"));
    }
    offset += tensor.num_bytes();
  }
  RW_RETURN_IF_ERROR(CheckComplete(assembly.tensors_, layout));
  if (offset != manifest.total_bytes()) {
    return absl::DataLossError(absl::StrCat("weight manifest: ", manifest.total_bytes(),
                                            " bytes in all, its tensors have ", offset));
  }
  assembly.manifest_ = manifest;
  return assembly;
}

absl::Status WeightAssembly::Add(const WeightChunk& chunk) {
  const std::string& data = chunk.data();
  const auto refuse = [&](const std::string& why) {
    return absl::DataLossError(absl::StrCat("weight chunk at ", chunk.offset(), " of version ",
                                            manifest_.policy_version(), ": ", why));
  };
  if (chunk.policy_version() != manifest_.policy_version()) {
    return refuse(absl::StrCat("it is of version ", chunk.policy_version()));
  }
  if (chunk.offset() != next_offset_) return refuse(absl::StrCat("expected offset ", next_offset_));
  if (data.empty()) return refuse("it is empty");
  if (data.size() > manifest_.total_bytes() - next_offset_) return refuse("it passes the end");
  if (Crc32c(data) != chunk.crc32c()) return refuse("its checksum is wrong");

  for (size_t done = 0; done < data.size();) {
    const WeightTensor& tensor = manifest_.tensors(next_tensor_);
    const uint64_t begin = next_offset_ - tensor.offset();
    const size_t num_bytes = std::min<uint64_t>(data.size() - done, tensor.num_bytes() - begin);
    char* const bytes = reinterpret_cast<char*>(tensors_.at(tensor.name()).values.data());
    std::memcpy(bytes + begin, data.data() + done, num_bytes);
    done += num_bytes;
    next_offset_ += num_bytes;
    if (begin + num_bytes == tensor.num_bytes()) ++next_tensor_;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const PolicyWeights>> WeightAssembly::Finish() {
  RW_CHECK(is_complete()) << next_offset_ << " of " << manifest_.total_bytes() << " bytes";
  for (const WeightTensor& tensor : manifest_.tensors()) {
    const std::vector<float>& values = tensors_.at(tensor.name()).values;
    if (Crc32c({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)}) !=
        tensor.crc32c()) {
      return absl::DataLossError(absl::StrCat("weights of version ", manifest_.policy_version(),
                                              ": tensor ", tensor.name(), " has a wrong checksum"));
    }
  }
  return std::make_shared<const PolicyWeights>(std::move(tensors_));
}

}  // namespace routewright
