#include "policy/formats/gguf_tokenizer.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace routewright {
namespace {

using json = nlohmann::ordered_json;

// GGUF's token types (ggml: llama_token_type).
constexpr int32_t kControl = 3;
constexpr int32_t kUserDefined = 4;
constexpr int32_t kUnused = 5;

constexpr char kLlama3Pattern[] =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr char kQwen2Pattern[] =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

// What differs between the kinds of tokenizers that share byte-level BPE.
struct Kind {
  json pre_tokenizer;
  json normalizer = nullptr;  // or NFC
  bool ignores_merges = false;
};

json ByteLevel(bool adds_prefix_space, bool uses_regex) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", adds_prefix_space},
          {"trim_offsets", true},
          {"use_regex", uses_regex}};
}

json Sequence(json first, json second) {
  return {{"type", "Sequence"},
          {"pretokenizers", json::array({std::move(first), std::move(second)})}};
}

json Split(const char* pattern) {
  return {{"type", "Split"},
          {"pattern", json::object({{"Regex", pattern}})},
          {"behavior", "Isolated"},
          {"invert", false}};
}

absl::StatusOr<Kind> KindOf(const GgufTokenizer& gguf) {
  const bool prefix = gguf.adds_prefix_space;
  const std::string& pre = gguf.pre;
  if (pre == "smollm") {
    const json digits = {{"type", "Digits"}, {"individual_digits", true}};
    return Kind{.pre_tokenizer = Sequence(digits, ByteLevel(prefix, true))};
  }
  if (pre == "gpt-2" || pre == "default" || pre.empty()) {
    return Kind{.pre_tokenizer = ByteLevel(prefix, true)};
  }
  if (pre == "llama-bpe" || pre == "llama3" || pre == "llama-v3") {
    return Kind{.pre_tokenizer = Sequence(Split(kLlama3Pattern), ByteLevel(prefix, false)),
                .ignores_merges = true};
  }
  if (pre == "qwen2") {
    return Kind{.pre_tokenizer = Sequence(Split(kQwen2Pattern), ByteLevel(prefix, false)),
                .normalizer = json::object({{"type", "NFC"}})};
  }
  return absl::InvalidArgumentError(
      absl::StrCat("tokenizer.ggml.pre '", pre,
                   "' is not supported: smollm, gpt-2, default, llama-bpe and qwen2 are"));
}

absl::Status Check(const GgufTokenizer& gguf) {
  if (gguf.model.empty()) return absl::InvalidArgumentError("tokenizer.ggml.model is missing");
  if (gguf.model != "gpt2") {
    return absl::InvalidArgumentError(
        absl::StrCat("tokenizer.ggml.model '", gguf.model,
                     "' is not supported: only byte-level BPE ('gpt2') is"));
  }
  if (gguf.tokens.empty()) return absl::InvalidArgumentError("tokenizer.ggml.tokens is missing");
  if (gguf.token_types.size() != gguf.tokens.size()) {
    return absl::InvalidArgumentError(absl::StrCat("tokenizer.ggml.token_type has ",
                                                   gguf.token_types.size(), " entries for ",
                                                   gguf.tokens.size(), " tokens"));
  }
  return absl::OkStatus();
}

bool IsAdded(int32_t type) { return type == kControl || type == kUserDefined; }

// Text of others may hold anything: bytes that are not UTF-8 become U+FFFD.
std::string Dump(const json& value) {
  return value.dump(-1, ' ', /*ensure_ascii=*/false, json::error_handler_t::replace);
}

// [0, model_end) go into the model's vocabulary; of the rest only added tokens are listed.
size_t ModelEnd(const GgufTokenizer& gguf) {
  size_t end = gguf.tokens.size();
  while (end > 0 && gguf.token_types[end - 1] == kUnused) --end;
  while (end > 0 && IsAdded(gguf.token_types[end - 1])) --end;
  return end;
}

std::string VocabularyJson(const GgufTokenizer& gguf) {
  std::string out = "{";
  const size_t end = ModelEnd(gguf);
  for (size_t id = 0; id < end; ++id) {
    absl::StrAppend(&out, id == 0 ? "" : ",", "\n      ", Dump(gguf.tokens[id]), ": ", id);
  }
  return out + "\n    }";
}

std::string MergesJson(const GgufTokenizer& gguf) {
  std::string out = "[";
  for (size_t i = 0; i < gguf.merges.size(); ++i) {
    absl::StrAppend(&out, i == 0 ? "" : ",", "\n      ", Dump(gguf.merges[i]));
  }
  return out + "\n    ]";
}

std::string AddedTokensJson(const GgufTokenizer& gguf) {
  std::string out = "[";
  for (size_t id = 0; id < gguf.tokens.size(); ++id) {
    if (!IsAdded(gguf.token_types[id])) continue;
    const json entry = {{"id", id},
                        {"content", gguf.tokens[id]},
                        {"single_word", false},
                        {"lstrip", false},
                        {"rstrip", false},
                        {"normalized", false},
                        {"special", gguf.token_types[id] == kControl}};
    absl::StrAppend(&out, out.size() == 1 ? "" : ",", "\n    ", Dump(entry));
  }
  return out + "\n  ]";
}

// Hugging Face puts the begin token before a text; Routewright's own Encode adds none.
json PostProcessor(const GgufTokenizer& gguf) {
  const json bytes = {{"type", "ByteLevel"},
                      {"add_prefix_space", true},
                      {"trim_offsets", false},
                      {"use_regex", true}};
  if (!gguf.adds_bos || !gguf.bos_id.has_value() || *gguf.bos_id >= gguf.tokens.size())
    return bytes;
  const std::string& bos = gguf.tokens[*gguf.bos_id];
  auto special = [&](int type) {
    return json::object({{"SpecialToken", {{"id", bos}, {"type_id", type}}}});
  };
  auto text = [](const char* id, int type) {
    return json::object({{"Sequence", {{"id", id}, {"type_id", type}}}});
  };
  const json entry = {
      {"id", bos}, {"ids", json::array({*gguf.bos_id})}, {"tokens", json::array({bos})}};
  const json begin = {{"type", "TemplateProcessing"},
                      {"single", json::array({special(0), text("A", 0)})},
                      {"pair", json::array({special(0), text("A", 0), special(1), text("B", 1)})},
                      {"special_tokens", json::object({{bos, entry}})}};
  return {{"type", "Sequence"}, {"processors", json::array({bytes, begin})}};
}

}  // namespace

absl::StatusOr<std::string> TokenizerJsonFromGguf(const GgufTokenizer& gguf) {
  RW_RETURN_IF_ERROR(Check(gguf));
  RW_ASSIGN_OR_RETURN(const Kind kind, KindOf(gguf));
  return absl::StrCat(
      "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n",
      "  \"added_tokens\": ", AddedTokensJson(gguf), ",\n",
      "  \"normalizer\": ", Dump(kind.normalizer), ",\n",
      "  \"pre_tokenizer\": ", Dump(kind.pre_tokenizer), ",\n",
      "  \"post_processor\": ", Dump(PostProcessor(gguf)), ",\n",
      "  \"decoder\": ", Dump(ByteLevel(/*adds_prefix_space=*/true, /*uses_regex=*/true)), ",\n",
      "  \"model\": {\n    \"type\": \"BPE\",\n    \"dropout\": null,\n    \"unk_token\": null,\n",
      "    \"continuing_subword_prefix\": null,\n    \"end_of_word_suffix\": null,\n",
      "    \"fuse_unk\": false,\n    \"byte_fallback\": false,\n",
      "    \"ignore_merges\": ", kind.ignores_merges ? "true" : "false", ",\n",
      "    \"vocab\": ", VocabularyJson(gguf), ",\n", "    \"merges\": ", MergesJson(gguf),
      "\n  }\n}\n");
}

std::string TokenizerConfigJsonFromGguf(const GgufTokenizer& gguf) {
  json config = {{"add_prefix_space", gguf.adds_prefix_space},
                 {"add_bos_token", gguf.adds_bos},
                 {"clean_up_tokenization_spaces", false},
                 {"tokenizer_class", "PreTrainedTokenizerFast"}};
  auto name = [&](const char* key, std::optional<uint32_t> id) {
    if (id.has_value() && *id < gguf.tokens.size()) config[key] = gguf.tokens[*id];
  };
  name("bos_token", gguf.bos_id);
  name("eos_token", gguf.eos_id);
  name("unk_token", gguf.unknown_id);
  name("pad_token", gguf.padding_id);
  if (gguf.max_positions > 0) config["model_max_length"] = gguf.max_positions;
  if (!gguf.chat_template.empty()) config["chat_template"] = gguf.chat_template;
  return config.dump(2, ' ', /*ensure_ascii=*/false, json::error_handler_t::replace) + "\n";
}

}  // namespace routewright
