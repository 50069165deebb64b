// The safetensors format: 8 bytes little-endian header length n, n bytes of JSON
// {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, …, "__metadata__":
// {"format": "pt"}}, then the tensors' bytes, row-major, little-endian, without holes. Source:
// github.com/huggingface/safetensors.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "policy/formats/mapped_file.h"
#include "policy/model/policy_weights.h"

namespace routewright {

class WritableFile;

// One tensor of an open file. Its bytes are the file's mapping: valid while the file is open.
struct SafetensorsTensor {
  std::string name;
  std::string dtype;           // "F32", "BF16", …
  std::vector<int64_t> shape;  // empty: a scalar
  int64_t num_elements = 0;
  std::string_view bytes;
};

// A file open for reading, memory-mapped. Immutable; any thread.
class SafetensorsFile {
 public:
  // Validates the whole header before anything is used: its length, every name once, known dtypes,
  // shape × dtype = byte range, ranges that cover the data without holes or overlaps. Fails:
  // kNotFound, or kDataLoss naming the file and, where it is one tensor's fault, the tensor.
  static absl::StatusOr<std::unique_ptr<SafetensorsFile>> Open(const std::string& path);

  const std::vector<SafetensorsTensor>& tensors() const {
    return tensors_;
  }  // in the order of their bytes
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const std::string& path() const { return file_->path(); }
  std::string_view header() const { return header_; }  // the bytes before the first tensor's
  // nullptr if there is none of this name.
  const SafetensorsTensor* Find(const std::string& name) const;
  // The tensor as f32, or its elements [begin, begin + out.size()). Fail: kInvalidArgument if its
  // dtype is not F32, F16 or BF16.
  absl::StatusOr<HostTensor> Read(const SafetensorsTensor& tensor) const;
  absl::Status Read(const SafetensorsTensor& tensor, int64_t begin, std::span<float> out) const;

 private:
  SafetensorsFile() = default;
  std::unique_ptr<MappedFile> file_;
  std::string_view header_;
  std::vector<SafetensorsTensor> tensors_;
  std::map<std::string, size_t> index_;  // name → place in tensors_
  std::map<std::string, std::string> metadata_;
};

enum class WeightFormat { kF32, kBf16 };

// A tensor to be written; `values` is borrowed for the call.
struct SafetensorsEntry {
  std::string name;
  std::vector<int64_t> shape;
  std::span<const float> values;
};

// What the header says of a tensor.
struct SafetensorsShape {
  std::string name;
  std::vector<int64_t> shape;
};

// Writes header and tensors in the order given; syncing, closing and renaming are the caller's.
// `values_of(i)` gives the i-th tensor's values when it is their turn, valid until the next call.
// Fails as `out` and `values_of` do; kInvalidArgument if a name comes twice.
absl::Status WriteSafetensors(
    WritableFile& out, std::span<const SafetensorsShape> shapes, WeightFormat format,
    absl::FunctionRef<absl::StatusOr<std::span<const float>>(size_t)> values_of,
    const std::map<std::string, std::string>& metadata = {{"format", "pt"}});
absl::Status WriteSafetensors(WritableFile& out, std::span<const SafetensorsEntry> tensors,
                              WeightFormat format,
                              const std::map<std::string, std::string>& metadata = {
                                  {"format", "pt"}});

}  // namespace routewright
