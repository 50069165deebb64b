// A model's tensors over any number of safetensors files, each whole or cut: a tensor that several
// ranks wrote is there as flat pieces, one-dimensional tensors named NAME[BEGIN:END], elements of
// the whole in row-major order. Immutable after Open; any thread.
//
//   rank 0's file   model.norm.weight                            F32 [64]
//                   model.layers.0.mlp.up_proj.weight[0:900]     F32 [900]
//   rank 1's file   model.layers.0.mlp.up_proj.weight[900:2048]  F32 [1148]
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "policy/formats/safetensors.h"
#include "policy/model/parameter_layout.h"
#include "policy/model/policy_weights.h"

namespace routewright {

// NAME[BEGIN:END].
std::string PieceName(std::string_view tensor, int64_t begin, int64_t end);

class TensorPieces {
 public:
  // Maps the files. Fails as SafetensorsFile::Open; kDataLoss naming file and tensor if a piece's
  // name does not fit its size.
  static absl::StatusOr<TensorPieces> Open(const std::vector<std::string>& paths);

  // Every tensor of the layout is there once, without holes or overlaps, in its shape; their names
  // in the files start with `prefix`. Fails: kDataLoss naming file and tensor.
  absl::Status Check(const ParameterLayout& layout, std::string_view prefix = "") const;
  // Nothing is there that the layout does not name. Fails likewise.
  absl::Status CheckNoneUnknown(const ParameterLayout& layout, bool is_tied) const;

  // After Check: elements [begin, begin + out.size()) of a tensor, as f32. Fails: kInvalidArgument
  // if the files hold another type than F32, F16 or BF16.
  absl::Status Read(const std::string& name, int64_t begin, std::span<float> out) const;
  // The whole tensor of a slot.
  absl::StatusOr<HostTensor> ReadWhole(const TensorSlot& slot) const;

 private:
  struct Piece {
    int64_t begin = 0;
    int64_t end = 0;
    bool is_whole = false;
    const SafetensorsFile* file = nullptr;
    const SafetensorsTensor* tensor = nullptr;
  };
  absl::Status Add(const SafetensorsFile& file, const SafetensorsTensor& tensor);
  absl::Status CheckSlot(const TensorSlot& slot, std::string_view prefix) const;

  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::map<std::string, std::vector<Piece>, std::less<>> pieces_;  // by `begin`
};

}  // namespace routewright
