// Builds GGUF files for tests.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace routewright {

// The bytes of a GGUF file, piece by piece and in any order, well formed or not.
class GgufBuilder {
 public:
  template <typename T>
  GgufBuilder& Put(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(T));
    return *this;
  }
  GgufBuilder& Text(const std::string& text) {
    Put<uint64_t>(text.size());
    bytes_ += text;
    return *this;
  }
  GgufBuilder& Head(uint64_t num_tensors, uint64_t num_pairs) {
    bytes_ += "GGUF";
    return Put<uint32_t>(3).Put(num_tensors).Put(num_pairs);
  }
  GgufBuilder& Pair(const std::string& key, uint32_t value) {
    return Text(key).Put<uint32_t>(4).Put(value);
  }
  GgufBuilder& Pair(const std::string& key, float value) {
    return Text(key).Put<uint32_t>(6).Put(value);
  }
  GgufBuilder& Pair(const std::string& key, const std::string& value) {
    return Text(key).Put<uint32_t>(8).Text(value);
  }
  GgufBuilder& Pair(const std::string& key, bool value) {
    return Text(key).Put<uint32_t>(7).Put<uint8_t>(value);
  }
  GgufBuilder& Pair(const std::string& key, const std::vector<std::string>& values) {
    Text(key).Put<uint32_t>(9).Put<uint32_t>(8).Put<uint64_t>(values.size());
    for (const std::string& value : values) Text(value);
    return *this;
  }
  GgufBuilder& Pair(const std::string& key, const std::vector<int32_t>& values) {
    Text(key).Put<uint32_t>(9).Put<uint32_t>(5).Put<uint64_t>(values.size());
    for (const int32_t value : values) Put(value);
    return *this;
  }
  // `dimensions` fastest first, as in the file.
  GgufBuilder& Tensor(const std::string& name, const std::vector<uint64_t>& dimensions,
                      uint32_t type, uint64_t offset) {
    Text(name).Put<uint32_t>(dimensions.size());
    for (const uint64_t size : dimensions) Put(size);
    return Put(type).Put(offset);
  }
  GgufBuilder& Align() {
    bytes_.resize((bytes_.size() + 31) / 32 * 32);
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

}  // namespace routewright
