#include "policy/tokenizer/tokenizer_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "policy/tokenizer/json_access.h"

namespace routewright {
namespace {

using nlohmann::json;

// Null, NFC, or Sequences of NFC; true if there is any.
absl::StatusOr<bool> ParseNormalizer(const json& normalizer) {
  if (normalizer.is_null()) return false;
  const json& type = JsonMember(normalizer, "type");
  if (type == "NFC") return true;
  const json& children = JsonMember(normalizer, "normalizers");
  if (type != "Sequence" || !children.is_array()) {
    return absl::InvalidArgumentError(
        absl::StrCat("normalizer: ", type.dump(), " is not supported: null, NFC and Sequence are"));
  }
  bool is_nfc = false;
  for (const json& child : children) {
    if (JsonMember(child, "type") == "Sequence") {
      return absl::InvalidArgumentError(
          "normalizer: a Sequence inside a Sequence is not supported");
    }
    RW_ASSIGN_OR_RETURN(const bool child_is_nfc, ParseNormalizer(child));
    is_nfc = is_nfc || child_is_nfc;
  }
  return is_nfc;
}

absl::Status CheckDecoder(const json& decoder) {
  if (decoder.is_null() || JsonMember(decoder, "type") == "ByteLevel") return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("decoder: ", JsonMember(decoder, "type").dump(),
                                                 " is not supported: ByteLevel is"));
}

absl::StatusOr<AddedToken> ParseAddedToken(const json& entry) {
  AddedToken token;
  RW_ASSIGN_OR_RETURN(token.content, JsonString(entry, "content"));
  const json& id = JsonMember(entry, "id");
  if (!id.is_number_unsigned() || id.get<uint64_t>() >= UINT32_MAX) {
    return absl::InvalidArgumentError(
        absl::StrCat("the id of '", token.content, "' must be a number"));
  }
  token.id = id.get<uint32_t>();
  RW_ASSIGN_OR_RETURN(token.is_special, JsonBool(entry, "special", false));
  RW_ASSIGN_OR_RETURN(token.is_normalized, JsonBool(entry, "normalized", !token.is_special));
  RW_ASSIGN_OR_RETURN(token.is_single_word, JsonBool(entry, "single_word", false));
  RW_ASSIGN_OR_RETURN(token.takes_left_space, JsonBool(entry, "lstrip", false));
  RW_ASSIGN_OR_RETURN(token.takes_right_space, JsonBool(entry, "rstrip", false));
  return token;
}

// Of two tokens with equal content the later one counts, as in `tokenizers`.
absl::StatusOr<std::vector<AddedToken>> ParseAddedTokens(const json& entries) {
  std::vector<AddedToken> tokens;
  if (entries.is_null()) return tokens;
  if (!entries.is_array()) return absl::InvalidArgumentError("added_tokens: it must be a list");
  absl::flat_hash_map<std::string, size_t> index_of;
  for (const json& entry : entries) {
    absl::StatusOr<AddedToken> token = ParseAddedToken(entry);
    if (!token.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("added_tokens, entry ", index_of.size(), ": ", token.status().message()));
    }
    if (token->content.empty()) continue;
    const auto [found, is_new] = index_of.try_emplace(token->content, tokens.size());
    if (is_new) {
      tokens.push_back(std::move(*token));
    } else {
      tokens[found->second] = std::move(*token);
    }
  }
  return tokens;
}

// `tokenizers` numbers added tokens itself: an entry of the vocabulary keeps its id,
// others count on from the vocabulary's size. A file that says otherwise would be read
// differently there and here.
absl::Status CheckAddedIds(const std::vector<AddedToken>& tokens, const json& vocabulary,
                           size_t num_tokens) {
  uint32_t next_id = static_cast<uint32_t>(num_tokens);
  for (const AddedToken& token : tokens) {
    const auto in_vocabulary = vocabulary.find(token.content);
    const uint32_t id =
        in_vocabulary == vocabulary.end() ? next_id++ : in_vocabulary->get<uint32_t>();
    if (id != token.id) {
      return absl::InvalidArgumentError(
          absl::StrCat("added_tokens: '", token.content, "' has id ", token.id,
                       ", but Hugging Face tokenizers would give it id ", id,
                       ": list added tokens in the order of their ids, without gaps"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TokenizerSpec> ParseTokenizerJson(std::string_view text) {
  const json document = json::parse(text, /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) {
    return absl::InvalidArgumentError("it is not a JSON object, or is cut short");
  }
  TokenizerSpec spec;
  RW_ASSIGN_OR_RETURN(spec.bpe, ParseBpeModel(JsonMember(document, "model")));
  RW_ASSIGN_OR_RETURN(spec.normalizes_nfc, ParseNormalizer(JsonMember(document, "normalizer")));
  RW_ASSIGN_OR_RETURN(spec.pre_tokenizer, ParsePreTokenizer(JsonMember(document, "pre_tokenizer")));
  RW_RETURN_IF_ERROR(CheckDecoder(JsonMember(document, "decoder")));
  RW_ASSIGN_OR_RETURN(spec.added_tokens, ParseAddedTokens(JsonMember(document, "added_tokens")));
  RW_RETURN_IF_ERROR(
      CheckAddedIds(spec.added_tokens, document["model"]["vocab"], spec.bpe.num_tokens));
  return spec;
}

}  // namespace routewright
