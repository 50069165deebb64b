// The `model` of tokenizer.json: ParseBpeModel of policy/tokenizer/tokenizer_json.h.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/absl_view.h"
#include "common/status_macros.h"
#include "policy/tokenizer/byte_alphabet.h"
#include "policy/tokenizer/json_access.h"
#include "policy/tokenizer/tokenizer_json.h"

namespace routewright {
namespace {

using nlohmann::json;

// Far above any real vocabulary; keeps a wrong id from asking for all memory.
constexpr uint64_t kMaxTokenId = 16'000'000;

absl::Status Invalid(const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("model: ", what));
}

// Ids by spelling; the views point into the JSON value.
using Ids = absl::flat_hash_map<absl::string_view, uint32_t>;

absl::Status RequireKnownOptions(const json& model) {
  const json& type = JsonMember(model, "type");
  // Files of early `tokenizers` have no type: a BPE is known by its merges.
  const bool is_bpe = type.is_null() ? JsonMember(model, "merges").is_array() : type == "BPE";
  if (!is_bpe) return Invalid(absl::StrCat("the type must be BPE, not ", type.dump()));
  RW_ASSIGN_OR_RETURN(const bool falls_back, JsonBool(model, "byte_fallback", false));
  if (falls_back) return Invalid("byte_fallback is not supported: only byte-level BPE is");
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix", "unk_token"}) {
    const json& value = JsonMember(model, key);
    if (!value.is_null() && value != "") {
      return Invalid(absl::StrCat(key, " ", value.dump(), " is not supported: it must be null"));
    }
  }
  const json& dropout = JsonMember(model, "dropout");
  if (!dropout.is_null() && dropout != 0.0) return Invalid("dropout must be null");
  return absl::OkStatus();
}

absl::StatusOr<Ids> ReadVocabulary(const json& model, BpeSpec& spec) {
  const json& vocabulary = JsonMember(model, "vocab");
  if (!vocabulary.is_object()) return Invalid("'vocab' must map spellings to ids");
  uint64_t max_id = 0;
  for (const auto& [spelling, id] : vocabulary.items()) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() > kMaxTokenId) {
      return Invalid(
          absl::StrCat("the id of '", spelling, "' must be a number from 0 to ", kMaxTokenId));
    }
    max_id = std::max(max_id, id.get<uint64_t>());
  }
  const size_t size = vocabulary.empty() ? 0 : max_id + 1;
  spec.bytes.resize(size);
  spec.spelled.resize(size);
  spec.num_tokens = vocabulary.size();
  std::vector<bool> is_taken(size);
  Ids ids;
  ids.reserve(vocabulary.size());
  for (const auto& [spelling, value] : vocabulary.items()) {
    const uint32_t id = value.get<uint32_t>();
    if (is_taken[id]) return Invalid(absl::StrCat("two tokens have id ", id));
    is_taken[id] = true;
    ids.emplace(spelling, id);
    std::optional<std::string> bytes = BytesOfSpelling(spelling);
    if (bytes.has_value()) spec.spelled[id] = *bytes;
    spec.bytes[id] = bytes.has_value() ? std::move(*bytes) : spelling;
  }
  return ids;
}

// One merge is "left right" or ["left", "right"].
std::optional<std::pair<absl::string_view, absl::string_view>> ReadPair(const json& merge) {
  if (merge.is_string()) {
    const absl::string_view text = merge.get_ref<const std::string&>();
    const size_t space = text.find(' ');
    const bool is_pair =
        space != absl::string_view::npos && text.find(' ', space + 1) == absl::string_view::npos;
    if (!is_pair) return std::nullopt;
    return std::pair(text.substr(0, space), text.substr(space + 1));
  }
  if (!merge.is_array() || merge.size() != 2 || !merge[0].is_string() || !merge[1].is_string()) {
    return std::nullopt;
  }
  return std::pair<absl::string_view, absl::string_view>(merge[0].get_ref<const std::string&>(),
                                                         merge[1].get_ref<const std::string&>());
}

absl::Status ReadMerges(const json& model, const Ids& ids, BpeSpec& spec) {
  const json& merges = JsonMember(model, "merges");
  if (!merges.is_array()) return Invalid("'merges' must be a list");
  spec.merges.reserve(merges.size());
  std::string merged;
  for (const json& merge : merges) {
    if (merge.is_string() && merge.get_ref<const std::string&>().rfind("#version", 0) == 0)
      continue;
    const auto pair = ReadPair(merge);
    if (!pair.has_value()) {
      return Invalid(absl::StrCat("merge ", spec.merges.size(), " is not a pair of spellings: ",
                                  merge.dump(-1, ' ', false, json::error_handler_t::replace)));
    }
    merged.clear();
    absl::StrAppend(&merged, pair->first, pair->second);
    const auto left = ids.find(pair->first);
    const auto right = ids.find(pair->second);
    const auto whole = ids.find(merged);
    if (left == ids.end() || right == ids.end() || whole == ids.end()) {
      return Invalid(absl::StrCat("merge ", spec.merges.size(), " ('", pair->first, "' and '",
                                  pair->second, "') names a token that the vocabulary lacks"));
    }
    spec.merges.push_back({left->second, right->second, whole->second});
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<BpeSpec> ParseBpeModel(const nlohmann::json& model) {
  if (!model.is_object()) return Invalid("it is missing or no object");
  RW_RETURN_IF_ERROR(RequireKnownOptions(model));
  BpeSpec spec;
  RW_ASSIGN_OR_RETURN(spec.ignores_merges, JsonBool(model, "ignore_merges", false));
  RW_ASSIGN_OR_RETURN(const Ids ids, ReadVocabulary(model, spec));
  RW_RETURN_IF_ERROR(ReadMerges(model, ids, spec));
  return spec;
}

}  // namespace routewright
