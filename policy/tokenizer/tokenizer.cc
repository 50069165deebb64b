#include "policy/tokenizer/tokenizer.h"

#include <algorithm>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/absl_view.h"
#include "common/file_system.h"
#include "common/status_macros.h"
#include "common/text.h"
#include "policy/tokenizer/nfc.h"
#include "policy/tokenizer/tokenizer_json.h"

namespace routewright {
namespace {

// The tokens that are looked for in the text as it came, or in the normalized text.
std::vector<AddedToken> Select(const TokenizerSpec& spec, bool is_normalized) {
  std::vector<AddedToken> selected;
  for (const AddedToken& token : spec.added_tokens) {
    if (token.is_normalized != is_normalized) continue;
    selected.push_back(token);
    if (is_normalized && spec.normalizes_nfc) {
      selected.back().content = NormalizeNfc(token.content);
    }
  }
  return selected;
}

class BpeTokenizer final : public Tokenizer {
 public:
  explicit BpeTokenizer(TokenizerSpec spec)
      : normalizes_nfc_(spec.normalizes_nfc),
        raw_matcher_(Select(spec, /*is_normalized=*/false)),
        normalized_matcher_(Select(spec, /*is_normalized=*/true)),
        pre_tokenizer_(std::move(spec.pre_tokenizer)),
        bpe_(spec.bpe.spelled, spec.bpe.merges, {.ignores_merges = spec.bpe.ignores_merges}),
        token_bytes_(std::move(spec.bpe.bytes)) {
    absl::flat_hash_set<uint32_t> added;
    for (const AddedToken& token : spec.added_tokens) {
      added.insert(token.id);
      if (token.id >= token_bytes_.size()) token_bytes_.resize(token.id + 1);
      token_bytes_[token.id] = token.content;
      if (token.is_special) special_.insert(token.id);
    }
    for (const uint32_t id : added) {
      const bool can_be_spelled = id < spec.bpe.spelled.size() && !spec.bpe.spelled[id].empty();
      if (can_be_spelled) plain_spelling_[id] = bpe_.EncodeWithout(spec.bpe.spelled[id], added);
    }
    for (uint32_t id = 0; id < token_bytes_.size(); ++id) {
      if (!token_bytes_[id].empty()) id_of_.try_emplace(token_bytes_[id], id);
    }
    for (const AddedToken& token : spec.added_tokens) id_of_[token.content] = token.id;
  }

  std::vector<uint32_t> Encode(std::string_view text) const override {
    const std::string valid = ReplaceInvalidUtf8(text);
    std::vector<uint32_t> ids;
    for (const TextSection& section : raw_matcher_.Cut(valid)) {
      if (section.added_id.has_value()) {
        ids.push_back(*section.added_id);
      } else {
        EncodeNormalized(Normalize(section.text), ids);
      }
    }
    return ids;
  }

  std::vector<uint32_t> EncodePlain(std::string_view text) const override {
    std::vector<uint32_t> ids;
    EncodeText(Normalize(ReplaceInvalidUtf8(text)), ids);
    if (plain_spelling_.empty()) return ids;
    std::vector<uint32_t> plain;
    plain.reserve(ids.size());
    for (const uint32_t id : ids) {
      const auto spelling = plain_spelling_.find(id);
      if (spelling == plain_spelling_.end()) {
        plain.push_back(id);
      } else {
        plain.insert(plain.end(), spelling->second.begin(), spelling->second.end());
      }
    }
    return plain;
  }

  std::string_view TokenBytes(uint32_t id) const override {
    return id < token_bytes_.size() ? std::string_view(token_bytes_[id]) : std::string_view();
  }

  std::string Decode(std::span<const uint32_t> ids) const override {
    std::string bytes;
    for (const uint32_t id : ids) bytes.append(TokenBytes(id));
    return bytes;
  }

  std::optional<uint32_t> TokenId(std::string_view text) const override {
    const auto found = id_of_.find(AbslView(text));
    return found == id_of_.end() ? std::nullopt : std::optional<uint32_t>(found->second);
  }

  bool IsSpecial(uint32_t id) const override { return special_.contains(id); }
  size_t vocabulary_size() const override { return token_bytes_.size(); }

 private:
  std::string Normalize(std::string_view text) const {
    return normalizes_nfc_ ? NormalizeNfc(text) : std::string(text);
  }
  void EncodeNormalized(const std::string& text, std::vector<uint32_t>& ids) const {
    for (const TextSection& section : normalized_matcher_.Cut(text)) {
      if (section.added_id.has_value()) {
        ids.push_back(*section.added_id);
      } else {
        EncodeText(section.text, ids);
      }
    }
  }
  void EncodeText(std::string_view text, std::vector<uint32_t>& ids) const {
    std::string storage;
    for (const std::string_view word : pre_tokenizer_.Cut(text, storage)) bpe_.Encode(word, ids);
  }

  bool normalizes_nfc_;
  AddedTokenMatcher raw_matcher_;
  AddedTokenMatcher normalized_matcher_;
  PreTokenizer pre_tokenizer_;
  Bpe bpe_;
  std::vector<std::string> token_bytes_;  // [V]
  absl::flat_hash_set<uint32_t> special_;
  // Added tokens that BPE could also reach: the ids that spell them without any added token.
  absl::flat_hash_map<uint32_t, std::vector<uint32_t>> plain_spelling_;
  absl::flat_hash_map<std::string, uint32_t> id_of_;
};

// Plain text must be able to spell every byte without an added token.
absl::Status CheckBytesAreNotAdded(const TokenizerSpec& spec) {
  for (const AddedToken& token : spec.added_tokens) {
    if (token.id < spec.bpe.spelled.size() && spec.bpe.spelled[token.id].size() == 1) {
      return absl::InvalidArgumentError(absl::StrCat(
          "added_tokens: '", token.content, "' is also the only spelling of a single byte (0x",
          absl::BytesToHexString(spec.bpe.spelled[token.id]),
          "), so plain text could not be told from it: this is not supported"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::Parse(std::string_view tokenizer_json,
                                                            const std::string& origin) {
  absl::StatusOr<TokenizerSpec> spec = ParseTokenizerJson(tokenizer_json);
  absl::Status status = spec.status();
  if (status.ok()) status = CheckBytesAreNotAdded(*spec);
  if (!status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(origin, ": ", status.message()));
  }
  return std::make_unique<BpeTokenizer>(*std::move(spec));
}

absl::StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::Load(const std::string& policy_folder) {
  const std::string path = policy_folder + "/tokenizer.json";
  absl::StatusOr<std::string> text = FileSystem::Posix().Read(path);
  if (absl::IsNotFound(text.status())) {
    return absl::NotFoundError(
        absl::StrCat(path, " is missing: a policy folder holds the tokenizer.json of its model"));
  }
  RW_RETURN_IF_ERROR(text.status());
  return Parse(*text, path);
}

}  // namespace routewright
