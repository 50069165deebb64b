// A tokenizer for tests: one token per byte (ids 0…255), then added tokens for our tags
// and one special end token.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/tokenizer/tokenizer.h"

namespace routewright {

class ByteTokenizer final : public Tokenizer {
 public:
  static constexpr uint32_t kEnd = 256;  // "<|end|>", special
  // "<|start|>", special.
  static constexpr uint32_t kStart = 257;

  ByteTokenizer() {
    for (int byte = 0; byte < 256; ++byte) spellings_.emplace_back(1, static_cast<char>(byte));
    for (const char* added :
         {"<|end|>", "<|start|>", "<think>", "</think>", "<search>", "</search>", "<information>",
          "</information>", "<answer>", "</answer>", "</answer>\n\n"}) {
      spellings_.emplace_back(added);
    }
  }

  std::vector<uint32_t> Encode(std::string_view text) const override {
    std::vector<uint32_t> ids;
    while (!text.empty()) {
      uint32_t best = static_cast<unsigned char>(text.front());
      for (uint32_t id = 256; id < spellings_.size(); ++id) {
        if (text.substr(0, spellings_[id].size()) == spellings_[id] && id < vocabulary_size() - 1)
          best = id;
      }
      ids.push_back(best);
      text.remove_prefix(spellings_[best].size());
    }
    return ids;
  }
  std::vector<uint32_t> EncodePlain(std::string_view text) const override {
    std::vector<uint32_t> ids;
    for (unsigned char byte : text) ids.push_back(byte);
    return ids;
  }
  std::string_view TokenBytes(uint32_t id) const override { return spellings_.at(id); }
  std::string Decode(std::span<const uint32_t> ids) const override {
    std::string text;
    for (uint32_t id : ids) text += spellings_.at(id);
    return text;
  }
  std::optional<uint32_t> TokenId(std::string_view text) const override {
    for (uint32_t id = 0; id < spellings_.size(); ++id) {
      if (spellings_[id] == text) return id;
    }
    return std::nullopt;
  }
  bool IsSpecial(uint32_t id) const override { return id == kEnd || id == kStart; }
  size_t vocabulary_size() const override { return spellings_.size(); }

 private:
  std::vector<std::string> spellings_;
};

}  // namespace routewright
