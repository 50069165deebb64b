// A tokenizer.json small enough to read: all 256 bytes (id = byte), a few merges, two added tokens.
// Each part can be replaced.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "policy/tokenizer/byte_alphabet.h"

namespace routewright {

// Ids 0-255 are the bytes; `merges` add one token each, counting up from 256, in order.
inline nlohmann::json TinyTokenizerJson(
    const std::vector<std::pair<std::string, std::string>>& merges) {
  nlohmann::json vocabulary = nlohmann::json::object();
  for (int byte = 0; byte < 256; ++byte) {
    vocabulary[std::string(SpellByte(static_cast<uint8_t>(byte)))] = byte;
  }
  nlohmann::json pairs = nlohmann::json::array();
  uint32_t next_id = 256;
  for (const auto& [left, right] : merges) {
    pairs.push_back(nlohmann::json::array({left, right}));
    if (!vocabulary.contains(left + right)) vocabulary[left + right] = next_id++;
  }
  nlohmann::json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}};
  nlohmann::json document;
  document["version"] = "1.0";
  document["added_tokens"] = nlohmann::json::array();
  document["normalizer"] = nullptr;
  document["pre_tokenizer"] = byte_level;
  document["decoder"] = {{"type", "ByteLevel"}};
  document["model"] = {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", pairs}};
  return document;
}

inline nlohmann::json AddedTokenJson(const std::string& content, uint32_t id, bool is_special) {
  nlohmann::json token;
  token["id"] = id;
  token["content"] = content;
  token["special"] = is_special;
  token["normalized"] = false;
  return token;
}

}  // namespace routewright
