// Byte-pair encoding of one pre-token, as in Hugging Face `tokenizers` (models/bpe): the
// lowest ranked pair is merged first, the leftmost of equal ones. Immutable after
// construction; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"

namespace routewright {

struct BpeMerge {
  uint32_t left;
  uint32_t right;
  uint32_t merged;
};

class Bpe {
 public:
  struct Options {
    // A pre-token that is a vocabulary entry becomes that entry, whatever the merges say.
    bool ignores_merges = false;
  };

  // `token_bytes` by id; entries that no pre-token can spell are empty. `merges` in order of rank;
  // of two merges of the same pair the later one counts. A single byte without an entry of its own
  // is dropped by Encode, as Hugging Face does without an unknown token.
  Bpe(std::span<const std::string> token_bytes, std::span<const BpeMerge> merges, Options options);

  // Appends the ids of `word`. O(n log n) in its bytes.
  void Encode(std::string_view word, std::vector<uint32_t>& ids) const;

  // The same for a word whose tokens may not be any of `banned`: neither vocabulary entries nor
  // merges lead to them. Single bytes are always allowed.
  std::vector<uint32_t> EncodeWithout(std::string_view word,
                                      const absl::flat_hash_set<uint32_t>& banned) const;

 private:
  struct Rule {
    uint32_t rank;
    uint32_t merged;
  };
  using Banned = const absl::flat_hash_set<uint32_t>*;  // null: nothing is
  const Rule* Find(uint32_t left, uint32_t right, Banned banned) const;
  void Merge(std::string_view word, Banned banned, std::vector<uint32_t>& ids) const;

  Options options_;
  std::array<uint32_t, 256> byte_ids_;
  absl::flat_hash_map<std::string, uint32_t> ids_;  // filled only if merges are ignored
  absl::flat_hash_map<uint64_t, Rule> rules_;       // key: left << 32 | right
};

}  // namespace routewright
