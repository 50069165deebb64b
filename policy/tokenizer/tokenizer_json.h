// Reads tokenizer.json of Hugging Face `tokenizers` into plain values, refusing by name whatever
// Routewright would not treat in the same way. Pure; any thread.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "policy/tokenizer/added_tokens.h"
#include "policy/tokenizer/bpe.h"
#include "policy/tokenizer/pre_tokenizer.h"

namespace routewright {

// The BPE model. `bytes` by id, V entries: what the token decodes to; empty for an unused id.
// `spelled` by id: the same, but empty where no text can lead there (not of the byte alphabet).
struct BpeSpec {
  std::vector<std::string> bytes;
  std::vector<std::string> spelled;
  size_t num_tokens = 0;  // entries of the vocabulary, unused ids not counted
  std::vector<BpeMerge> merges;
  bool ignores_merges = false;
};

struct TokenizerSpec {
  BpeSpec bpe;
  std::vector<AddedToken> added_tokens;  // in the file's order, contents distinct
  bool normalizes_nfc = false;
  PreTokenizerSteps pre_tokenizer;
};

// Fails: kInvalidArgument naming the part that is missing, malformed or not supported.
absl::StatusOr<TokenizerSpec> ParseTokenizerJson(std::string_view text);

// The parts, each from its JSON value.
absl::StatusOr<BpeSpec> ParseBpeModel(const nlohmann::json& model);
absl::StatusOr<PreTokenizerSteps> ParsePreTokenizer(const nlohmann::json& pre_tokenizer);

}  // namespace routewright
