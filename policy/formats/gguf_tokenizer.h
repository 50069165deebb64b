// Makes Hugging Face's tokenizer.json and tokenizer_config.json out of a GGUF file's metadata
// (tokenizer.ggml.* and tokenizer.chat_template), for byte-level BPE models. gguf_companions.h
// reads it. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace routewright {

// The metadata as it stands in the file; the comments name the keys.
struct GgufTokenizer {
  std::string model;                   // tokenizer.ggml.model: must be "gpt2"
  std::string pre;                     // tokenizer.ggml.pre; empty if missing
  std::vector<std::string> tokens;     // tokenizer.ggml.tokens, by id, spelled in the byte alphabet
  std::vector<int32_t> token_types;    // tokenizer.ggml.token_type, by id
  std::vector<std::string> merges;     // tokenizer.ggml.merges: "left right"
  std::optional<uint32_t> bos_id;      // tokenizer.ggml.bos_token_id
  std::optional<uint32_t> eos_id;      // tokenizer.ggml.eos_token_id
  std::optional<uint32_t> unknown_id;  // tokenizer.ggml.unknown_token_id
  std::optional<uint32_t> padding_id;  // tokenizer.ggml.padding_token_id
  bool adds_bos = false;               // tokenizer.ggml.add_bos_token
  bool adds_prefix_space = false;      // tokenizer.ggml.add_space_prefix
  std::string chat_template;           // tokenizer.chat_template; empty if missing
  int64_t max_positions = 0;           // <architecture>.context_length
};

// Control tokens become special added tokens, user-defined ones plain added tokens; unused ones at
// the end are left out. `pre` may be "smollm" (digits one by one), "gpt-2", "default" or empty,
// "llama-bpe" (and "llama3", "llama-v3") or "qwen2".
// Fails: kInvalidArgument naming the model, the pre-tokenizer or the list that is not supported.
absl::StatusOr<std::string> TokenizerJsonFromGguf(const GgufTokenizer& gguf);

// The names of the begin, end, unknown and padding tokens, the longest text and the chat template.
// Ids beyond the list of tokens are left out.
std::string TokenizerConfigJsonFromGguf(const GgufTokenizer& gguf);

}  // namespace routewright
