#include "policy/tokenizer/added_tokens.h"

#include <utf8proc.h>

#include <algorithm>

namespace routewright {
namespace {

int32_t FirstCodePoint(std::string_view text) {
  utf8proc_int32_t code_point = -1;
  utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                   static_cast<utf8proc_ssize_t>(text.size()), &code_point);
  return code_point;
}

// Where the last character of `text` (not empty) begins.
size_t LastCharacter(std::string_view text) {
  size_t at = text.size() - 1;
  while (at > 0 && (static_cast<uint8_t>(text[at]) & 0xc0) == 0x80) --at;
  return at;
}

size_t CharacterSize(std::string_view text) {
  size_t size = 1;
  while (size < text.size() && (static_cast<uint8_t>(text[size]) & 0xc0) == 0x80) ++size;
  return size;
}

// Unicode White_Space, which is \s in Rust.
bool IsSpace(int32_t c) {
  return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
         c == 0x3000;
}

// \w in Rust: Alphabetic, marks, decimal digits, connector punctuation, join controls.
bool IsWordCharacter(int32_t c) {
  if (c == 0x200c || c == 0x200d) return true;
  const bool is_enclosed_letter = (c >= 0x24b6 && c <= 0x24e9) || (c >= 0x1f130 && c <= 0x1f149) ||
                                  (c >= 0x1f150 && c <= 0x1f169) || (c >= 0x1f170 && c <= 0x1f189);
  if (is_enclosed_letter) return true;
  switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return false;
  }
}

bool StandsAlone(std::string_view before, std::string_view after) {
  if (!before.empty() && IsWordCharacter(FirstCodePoint(before.substr(LastCharacter(before))))) {
    return false;
  }
  return after.empty() || !IsWordCharacter(FirstCodePoint(after));
}

// The bytes of white space at the end of `text`.
size_t TrailingSpace(std::string_view text) {
  size_t end = text.size();
  while (end > 0) {
    const size_t at = LastCharacter(text.substr(0, end));
    if (!IsSpace(FirstCodePoint(text.substr(at, end - at)))) break;
    end = at;
  }
  return text.size() - end;
}

size_t LeadingSpace(std::string_view text) {
  size_t at = 0;
  while (at < text.size() && IsSpace(FirstCodePoint(text.substr(at)))) {
    at += CharacterSize(text.substr(at));
  }
  return at;
}

}  // namespace

AddedTokenMatcher::AddedTokenMatcher(std::span<const AddedToken> tokens)
    : tokens_(tokens.begin(), tokens.end()) {
  uint32_t num_nodes = 1;
  for (size_t index = 0; index < tokens_.size(); ++index) {
    const std::string& content = tokens_[index].content;
    if (content.empty()) continue;
    first_bytes_.set(static_cast<uint8_t>(content[0]));
    uint32_t node = 0;
    for (const char byte : content) {
      const uint64_t edge = (uint64_t{node} << 8) | static_cast<uint8_t>(byte);
      const auto [found, is_new] = next_node_.try_emplace(edge, num_nodes);
      if (is_new) ++num_nodes;
      node = found->second;
    }
    token_of_node_.try_emplace(node, index);
  }
}

const AddedToken* AddedTokenMatcher::LongestAt(std::string_view text) const {
  const AddedToken* longest = nullptr;
  uint32_t node = 0;
  for (const char byte : text) {
    const auto next = next_node_.find((uint64_t{node} << 8) | static_cast<uint8_t>(byte));
    if (next == next_node_.end()) break;
    node = next->second;
    const auto token = token_of_node_.find(node);
    if (token != token_of_node_.end()) longest = &tokens_[token->second];
  }
  return longest;
}

std::vector<TextSection> AddedTokenMatcher::Cut(std::string_view text) const {
  std::vector<TextSection> sections;
  size_t done = 0;  // bytes that sections cover
  for (size_t at = 0; at < text.size();) {
    const AddedToken* token =
        first_bytes_[static_cast<uint8_t>(text[at])] ? LongestAt(text.substr(at)) : nullptr;
    if (token == nullptr) {
      ++at;
      continue;
    }
    size_t begin = at;
    size_t end = at + token->content.size();
    at = end;
    if (token->is_single_word && !StandsAlone(text.substr(0, begin), text.substr(end))) continue;
    if (token->takes_left_space && begin > done) {
      begin -= TrailingSpace(text.substr(done, begin - done));
    }
    if (token->takes_right_space) end += LeadingSpace(text.substr(end));
    if (done < begin) sections.push_back({std::nullopt, text.substr(done, begin - done)});
    sections.push_back({token->id, text.substr(begin, end - begin)});
    done = end;
  }
  if (done < text.size()) sections.push_back({std::nullopt, text.substr(done)});
  return sections;
}

}  // namespace routewright
