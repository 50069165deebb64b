#include "rollout_workers/generator/text_guide.h"

#include <algorithm>
#include <utility>

namespace routewright {
namespace {

constexpr std::string_view kSpaces = " \n\t";

std::string_view WithoutSpaces(std::string_view bytes) {
  const size_t begin = bytes.find_first_not_of(kSpaces);
  return begin == std::string_view::npos ? std::string_view() : bytes.substr(begin);
}

bool Agree(std::string_view bytes, std::string_view due) {
  const size_t common = std::min(bytes.size(), due.size());
  return bytes.substr(0, common) == due.substr(0, common);
}

}  // namespace

TextGuide::TextGuide(GuidedText guided) : guided_(std::move(guided)), due_(guided_.text) {
  if (guided_.text.empty() || guided_.after.empty()) guided_ = {};
}

void TextGuide::Append(std::string_view token_bytes) {
  if (is_on_) return Consume(token_bytes);
  if (guided_.text.empty()) return;
  tail_.append(token_bytes);
  const size_t at = tail_.find(guided_.after);
  if (at != std::string::npos) {
    is_on_ = may_be_spaced_ = true;
    const std::string rest = tail_.substr(at + guided_.after.size());
    Consume(rest);
  } else if (tail_.size() >= guided_.after.size()) {
    tail_.erase(0, tail_.size() - (guided_.after.size() - 1));
  }
}

void TextGuide::Consume(std::string_view bytes) {
  if (bytes.empty()) return;
  if (may_be_spaced_) bytes = WithoutSpaces(bytes);
  may_be_spaced_ = false;  // one token of white space is enough
  // A token that ran past `after` may have gone another way: then nothing is guided.
  const bool is_spelt = Agree(bytes, due_);
  due_.erase(0, bytes.size());
  if (is_spelt && !due_.empty()) return;
  is_on_ = false;
  is_done_ = is_spelt;
  guided_ = {};
}

std::vector<uint32_t> TokensThatSpell(const Tokenizer& tokenizer, std::string_view due,
                                      bool may_be_spaced) {
  std::vector<uint32_t> tokens;
  for (uint32_t id = 0; id < tokenizer.vocabulary_size(); ++id) {
    if (tokenizer.IsSpecial(id)) continue;
    const std::string_view bytes = tokenizer.TokenBytes(id);
    if (bytes.empty()) continue;
    const std::string_view text = may_be_spaced ? WithoutSpaces(bytes) : bytes;
    if (Agree(text, due)) tokens.push_back(id);  // nothing but white space agrees with anything
  }
  return tokens;
}

}  // namespace routewright
