// Text to token ids and back, from a policy folder's tokenizer.json: byte-level BPE with the GPT-2,
// Llama-3 and Qwen2 pre-tokenizers (and others that split by regular expressions and digits), equal
// to Hugging Face `tokenizers` without its post-processor. Immutable after loading; any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace routewright {

class Tokenizer {
 public:
  // Fails: kNotFound naming the file; kInvalidArgument naming the part of tokenizer.json that is
  // malformed or not supported.
  static absl::StatusOr<std::unique_ptr<Tokenizer>> Load(const std::string& policy_folder);
  static absl::StatusOr<std::unique_ptr<Tokenizer>> Parse(std::string_view tokenizer_json,
                                                          const std::string& origin);
  virtual ~Tokenizer() = default;

  // Added and special tokens in the text are recognised; none is added. Bytes that are not UTF-8
  // count as U+FFFD each. A byte for which the vocabulary has no token is dropped, as Hugging Face
  // does (SmolLM2 lacks some control characters).
  virtual std::vector<uint32_t> Encode(std::string_view text) const = 0;
  // Added and special tokens in the text are NOT recognised: their spelling becomes plain text.
  // For what others wrote. None of the ids is an added or special token's, whatever the text;
  // else the same as Encode.
  virtual std::vector<uint32_t> EncodePlain(std::string_view text) const = 0;

  // The exact bytes of a token: may be part of a UTF-8 character; decoding is concatenation. Empty
  // for an id that no token has. Lives as long as the tokenizer.
  virtual std::string_view TokenBytes(uint32_t id) const = 0;
  // All bytes of all tokens, special ones included.
  virtual std::string Decode(std::span<const uint32_t> ids) const = 0;

  // The id of the one token with exactly these bytes.
  virtual std::optional<uint32_t> TokenId(std::string_view text) const = 0;
  virtual bool IsSpecial(uint32_t id) const = 0;
  virtual size_t vocabulary_size() const = 0;  // ids are below this
};

}  // namespace routewright
