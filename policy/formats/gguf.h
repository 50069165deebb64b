// The GGUF format of llama.cpp, versions 2 and 3, little-endian: "GGUF", u32 version, u64 number of
// tensors, u64 number of metadata pairs; the pairs (string key, u32 type, value); the tensors'
// infos (name, u32 number of dimensions, u64 each, fastest first, u32 type, u64 offset); padding;
// data. Source: ggml/docs/gguf.md.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "policy/formats/mapped_file.h"
#include "policy/model/policy_weights.h"

namespace routewright {

// One tensor of an open file. Its bytes are the file's mapping: valid while the file is open.
struct GgufTensor {
  std::string name;
  uint32_t type = 0;           // ggml_type
  std::vector<int64_t> shape;  // row-major: the slowest dimension first
  int64_t num_elements = 0;
  std::string_view bytes;
};

// A file open for reading, memory-mapped. Immutable; any thread.
class GgufFile {
 public:
  using Value = std::variant<bool, int64_t, double, std::string, std::vector<int64_t>,
                             std::vector<double>, std::vector<std::string>>;

  // Checks every count and size against the bytes that are there before anything is allocated;
  // tensors must lie within the data and not overlap. Fails: kNotFound, or kDataLoss naming the
  // file and the key or tensor.
  static absl::StatusOr<std::unique_ptr<GgufFile>> Open(const std::string& path);

  const std::string& path() const { return file_->path(); }
  const std::map<std::string, Value>& metadata() const { return metadata_; }
  const std::vector<GgufTensor>& tensors() const { return tensors_; }  // in the file's order
  // nullptr if there is none of this name.
  const GgufTensor* Find(const std::string& name) const;

  // A metadata value of this C++ type, or nullptr if the key is missing or holds another type.
  template <typename T>
  const T* Get(const std::string& key) const {
    const auto it = metadata_.find(key);
    return it == metadata_.end() ? nullptr : std::get_if<T>(&it->second);
  }

  // The tensor as f32. Fails: kInvalidArgument if its type is not F32, F16, BF16, Q8_0 or Q4_1.
  absl::StatusOr<HostTensor> Read(const GgufTensor& tensor) const;

 private:
  GgufFile() = default;
  std::unique_ptr<MappedFile> file_;
  std::map<std::string, Value> metadata_;
  std::vector<GgufTensor> tensors_;
  std::map<std::string, size_t> index_;  // name → place in tensors_
};

}  // namespace routewright
