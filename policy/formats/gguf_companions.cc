#include "policy/formats/gguf_companions.h"

#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace routewright {
namespace {

template <typename T>
T ValueOr(const GgufFile& file, const std::string& key, T fallback) {
  const T* value = file.Get<T>(key);
  return value == nullptr ? fallback : *value;
}

std::optional<uint32_t> TokenId(const GgufFile& file, const char* name) {
  const int64_t id = ValueOr<int64_t>(file, absl::StrCat("tokenizer.ggml.", name), -1);
  if (id < 0 || id > std::numeric_limits<uint32_t>::max()) return std::nullopt;
  return static_cast<uint32_t>(id);
}

std::string GenerationConfigJson(const GgufTokenizer& tokenizer, const ModelConfig& config) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  const auto name = [&](const char* key, std::optional<uint32_t> id) {
    if (id.has_value() && *id < tokenizer.tokens.size()) json[key] = *id;
  };
  name("bos_token_id", tokenizer.bos_id);
  const std::vector<uint32_t>& ends = config.end_token_ids;
  if (ends.size() == 1) json["eos_token_id"] = ends[0];
  if (ends.size() > 1) json["eos_token_id"] = ends;
  name("pad_token_id", tokenizer.padding_id);
  return json.dump(2) + "\n";
}

absl::Status InFile(const GgufFile& file, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(file.path(), ": ", what));
}

}  // namespace

GgufTokenizer ReadGgufTokenizer(const GgufFile& file) {
  const auto text = [&](const std::string& key) { return ValueOr<std::string>(file, key, ""); };
  const auto flag = [&](const std::string& key) { return ValueOr<bool>(file, key, false); };
  using Strings = std::vector<std::string>;
  GgufTokenizer tokenizer;
  tokenizer.model = text("tokenizer.ggml.model");
  tokenizer.pre = text("tokenizer.ggml.pre");
  tokenizer.tokens = ValueOr<Strings>(file, "tokenizer.ggml.tokens", {});
  const std::vector<int64_t> types =
      ValueOr<std::vector<int64_t>>(file, "tokenizer.ggml.token_type", {});
  for (const int64_t type : types) tokenizer.token_types.push_back(static_cast<int32_t>(type));
  tokenizer.merges = ValueOr<Strings>(file, "tokenizer.ggml.merges", {});
  tokenizer.bos_id = TokenId(file, "bos_token_id");
  tokenizer.eos_id = TokenId(file, "eos_token_id");
  tokenizer.unknown_id = TokenId(file, "unknown_token_id");
  tokenizer.padding_id = TokenId(file, "padding_token_id");
  tokenizer.adds_bos = flag("tokenizer.ggml.add_bos_token");
  tokenizer.adds_prefix_space = flag("tokenizer.ggml.add_space_prefix");
  tokenizer.chat_template = text("tokenizer.chat_template");
  const std::string context = text("general.architecture") + ".context_length";
  tokenizer.max_positions = ValueOr<int64_t>(file, context, 0);
  return tokenizer;
}

absl::StatusOr<std::map<std::string, std::string>> CompanionsFromGguf(const GgufFile& file,
                                                                      const ModelConfig& config) {
  const GgufTokenizer tokenizer = ReadGgufTokenizer(file);
  const absl::StatusOr<std::string> json = TokenizerJsonFromGguf(tokenizer);
  if (!json.ok()) return InFile(file, std::string(json.status().message()));
  if (static_cast<int64_t>(tokenizer.tokens.size()) > config.vocabulary_size) {
    return InFile(file, absl::StrCat("tokenizer.ggml.tokens names ", tokenizer.tokens.size(),
                                     " tokens, the embedding has ", config.vocabulary_size));
  }
  return std::map<std::string, std::string>{
      {"tokenizer.json", *json},
      {"tokenizer_config.json", TokenizerConfigJsonFromGguf(tokenizer)},
      {"generation_config.json", GenerationConfigJson(tokenizer, config)}};
}

}  // namespace routewright
