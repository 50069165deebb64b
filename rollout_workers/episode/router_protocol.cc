#include "rollout_workers/episode/router_protocol.h"

#include <array>
#include <optional>
#include <set>

#include "common/text.h"

namespace routewright {
namespace {

constexpr char kOpenAnswer[] = "<answer>";

struct TagPair {
  std::string_view open;
  std::string_view close;
};
constexpr TagPair kThink = {"<think>", "</think>"};
constexpr std::array<TagPair, 4> kTagPairs = {kThink, TagPair{kOpenSearch, kCloseSearch},
                                              TagPair{kOpenAnswer, kCloseAnswer},
                                              TagPair{"<information>", "</information>"}};
constexpr size_t kInformation = 3;  // index into kTagPairs

bool IsBlank(std::string_view text) { return StripWhitespace(text).empty(); }
bool StartsWith(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}
bool Contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// The tag at the start of `text`, if one is there.
struct Tag {
  size_t pair;  // index into kTagPairs
  bool is_closing;
  size_t num_bytes;
};
std::optional<Tag> TagAt(std::string_view text) {
  if (text.empty() || text.front() != '<') return std::nullopt;
  for (size_t i = 0; i < kTagPairs.size(); ++i) {
    if (StartsWith(text, kTagPairs[i].open)) return Tag{i, false, kTagPairs[i].open.size()};
    if (StartsWith(text, kTagPairs[i].close)) return Tag{i, true, kTagPairs[i].close.size()};
  }
  return std::nullopt;
}

bool BeginsWithThink(std::string_view text) {
  text = StripWhitespace(text);
  if (!StartsWith(text, kThink.open)) return false;
  text.remove_prefix(kThink.open.size());
  const size_t end = text.find(kThink.close);
  return end != std::string_view::npos && !IsBlank(text.substr(0, end));
}

// Walks the round's text up to and with its deciding tag: at most one tag pair
// may be open at any place.
std::set<FormatFault> FindFaults(std::string_view text) {
  std::set<FormatFault> faults;
  if (!BeginsWithThink(text)) faults.insert(FORMAT_FAULT_NO_THINK);
  std::optional<size_t> open;  // the tag pair that is open
  size_t outside = 0;          // where the text outside tags began
  const auto check_outside = [&](size_t end) {
    if (!IsBlank(text.substr(outside, end - outside)))
      faults.insert(FORMAT_FAULT_TEXT_OUTSIDE_TAGS);
  };
  for (size_t at = 0; at < text.size();) {
    const std::optional<Tag> tag = TagAt(text.substr(at));
    if (!tag.has_value()) {
      ++at;
      continue;
    }
    if (!open.has_value()) check_outside(at);
    at += tag->num_bytes;
    if (tag->is_closing && open == tag->pair) {
      open.reset();
    } else {  // partnerless or nested; go on as if a pair had been opened, or nothing been closed
      if (tag->is_closing || open.has_value() || tag->pair == kInformation) {
        faults.insert(FORMAT_FAULT_UNBALANCED_TAGS);
      }
      if (!tag->is_closing && !open.has_value()) open = tag->pair;
    }
    outside = at;
  }
  if (open.has_value()) {
    faults.insert(FORMAT_FAULT_UNBALANCED_TAGS);
  } else {
    check_outside(text.size());
  }
  return faults;
}

void SetInvalid(Action& action, InvalidReason reason) {
  action.set_kind(ACTION_KIND_INVALID);
  action.set_invalid_reason(reason);
}

bool IsPlaceholder(std::string_view name, std::string_view query) {
  const std::string lower_name = LowerCase(name), lower_query = LowerCase(query);
  for (std::string_view words : {"llm-name", "your-query"}) {
    if (Contains(lower_name, words) || Contains(lower_query, words)) return true;
  }
  return lower_name == "model-name" || lower_name == "model name" || lower_query == "sub-question";
}

void ParseSearch(std::string_view content, const ModelList& models, Action& action) {
  const size_t colon = content.find(':');
  if (colon == std::string_view::npos) return SetInvalid(action, INVALID_REASON_NO_COLON);
  const std::string_view name = StripWhitespace(content.substr(0, colon));
  const std::string_view query = StripWhitespace(content.substr(colon + 1));
  if (IsPlaceholder(name, query)) return SetInvalid(action, INVALID_REASON_PLACEHOLDER);
  const std::string* listed = models.Find(name);
  if (listed == nullptr) return SetInvalid(action, INVALID_REASON_UNKNOWN_MODEL);
  if (query.empty()) return SetInvalid(action, INVALID_REASON_EMPTY_QUERY);
  action.set_kind(ACTION_KIND_SEARCH);
  action.set_model(*listed);
  action.set_query(ReplaceInvalidUtf8(query));
}

// What the tag pair that ends with `text` holds: from its nearest opening tag
// on. nullopt without one.
std::optional<std::string_view> Content(std::string_view text, std::string_view open,
                                        std::string_view close) {
  text.remove_suffix(close.size());
  const size_t begin = text.rfind(open);
  if (begin == std::string_view::npos) return std::nullopt;
  return text.substr(begin + open.size());
}

}  // namespace

std::vector<std::string> RoundStopStrings() { return {kCloseSearch, kCloseAnswer}; }

Action ParseRound(std::string_view written, const ModelList& models, bool is_last_round,
                  std::string_view opened) {
  Action action;
  const std::string whole = std::string(opened) + std::string(written);
  const std::string_view text = whole;
  const size_t search_at = text.find(kCloseSearch), answer_at = text.find(kCloseAnswer);
  const bool has_tag = search_at != answer_at;  // equal only if neither is there
  const bool is_search = search_at < answer_at;
  const std::string_view close = is_search ? kCloseSearch : kCloseAnswer;
  const size_t end = has_tag ? std::min(search_at, answer_at) + close.size() : text.size();
  const std::string_view judged = text.substr(0, end);

  std::optional<std::string_view> content;
  if (has_tag) content = Content(judged, is_search ? kOpenSearch : kOpenAnswer, close);
  if (!content.has_value()) {
    SetInvalid(action, INVALID_REASON_NO_TAGS);
  } else if (!is_search) {
    action.set_kind(ACTION_KIND_ANSWER);
    action.set_answer(ReplaceInvalidUtf8(StripWhitespace(*content)));
  } else if (is_last_round) {
    SetInvalid(action, INVALID_REASON_LAST_ROUND_SEARCH);
  } else {
    ParseSearch(*content, models, action);
  }

  std::set<FormatFault> faults = FindFaults(judged);
  if (!IsBlank(text.substr(end))) faults.insert(FORMAT_FAULT_TEXT_AFTER_TAG);
  for (FormatFault fault : faults) action.add_format_faults(fault);
  return action;
}

std::string OpenedTag(std::string_view prompt) {
  prompt = StripWhitespace(prompt);
  for (const TagPair& pair : kTagPairs) {
    if (prompt.ends_with(pair.open)) return std::string(pair.open);
  }
  return "";
}

ByteRange NamedModelBytes(std::string_view text) {
  const size_t end = text.find(kCloseSearch) + std::string_view(kCloseSearch).size();
  const std::string_view content =
      Content(text.substr(0, end), kOpenSearch, kCloseSearch).value_or("");
  const std::string_view name = StripWhitespace(content.substr(0, content.find(':')));
  const size_t begin = name.empty() ? 0 : static_cast<size_t>(name.data() - text.data());
  return {begin, begin + name.size()};
}

ByteRange FirstNameBytes(std::string_view text, std::string_view name) {
  const size_t open = text.find(kOpenSearch);
  if (open == std::string_view::npos) return {0, 0};
  const std::string_view content =
      StripWhitespace(text.substr(open + std::string_view(kOpenSearch).size()));
  if (!content.starts_with(name)) return {0, 0};
  const size_t begin = static_cast<size_t>(content.data() - text.data());
  return {begin, begin + name.size()};
}

}  // namespace routewright
