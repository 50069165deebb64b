// Finds added tokens in a text before it is tokenized, as Hugging Face `tokenizers` does
// (tokenizer/added_vocabulary.rs): leftmost first, the longest of those that begin there.
// Immutable after construction; any thread.
#pragma once

#include <bitset>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace routewright {

struct AddedToken {
  std::string content;
  uint32_t id = 0;
  bool is_special = false;
  bool is_normalized = false;     // looked for in the normalized text, not in the text as it came
  bool is_single_word = false;    // only where no word character stands directly beside it
  bool takes_left_space = false;  // swallows the white space before it
  bool takes_right_space = false;
};

// A stretch of the text: an added token, or text to tokenize (no id).
struct TextSection {
  std::optional<uint32_t> added_id;
  std::string_view text;
};

class AddedTokenMatcher {
 public:
  // Of several tokens with equal content the first counts; empty contents are skipped.
  explicit AddedTokenMatcher(std::span<const AddedToken> tokens);

  // Cuts `text` (valid UTF-8) into sections; views into it. Empty text has none.
  std::vector<TextSection> Cut(std::string_view text) const;

 private:
  // The longest token whose content begins `text`; null if none does.
  const AddedToken* LongestAt(std::string_view text) const;

  std::vector<AddedToken> tokens_;
  std::bitset<256> first_bytes_;
  absl::flat_hash_map<uint64_t, uint32_t> next_node_;    // trie: node << 8 | byte -> node; root 0
  absl::flat_hash_map<uint32_t, size_t> token_of_node_;  // node where a content ends -> index
};

}  // namespace routewright
