#include "policy/tokenizer/pre_tokenizer.h"

#include <algorithm>

namespace routewright {
namespace {

// A stretch of a piece, and whether the pattern matched it.
struct Stretch {
  Span span;
  bool is_match;
};

// The whole piece as stretches that match and stretches that don't.
std::vector<Stretch> Stretches(const RegexSplit& split, std::string_view piece) {
  std::vector<Span> matches;
  split.regex.FindAll(piece, matches);
  std::vector<Stretch> stretches;
  stretches.reserve(matches.size() + 1);
  size_t done = 0;
  for (const Span& match : matches) {
    if (done != match.begin) stretches.push_back({{done, match.begin}, split.is_inverted});
    stretches.push_back({match, !split.is_inverted});
    done = match.end;
  }
  if (done != piece.size()) stretches.push_back({{done, piece.size()}, split.is_inverted});
  return stretches;
}

// The behaviours that join neighbours. Source: NormalizedString::split of `tokenizers`, with its
// corner: the stretch before the first one counts as not matching.
std::vector<Span> Join(const std::vector<Stretch>& stretches, SplitBehavior behavior) {
  std::vector<Span> joined;
  bool was_match = false;
  for (const auto& [span, is_match] : stretches) {
    const bool joins_previous =
        behavior == SplitBehavior::kContiguous ? is_match == was_match : is_match && !was_match;
    if (joins_previous && !joined.empty()) {
      joined.back().end = span.end;
    } else {
      joined.push_back(span);
    }
    was_match = is_match;
  }
  return joined;
}

std::vector<Span> JoinWithNext(const std::vector<Stretch>& stretches) {
  std::vector<Span> joined;
  bool was_match = false;
  for (auto it = stretches.rbegin(); it != stretches.rend(); ++it) {
    if (it->is_match && !was_match && !joined.empty()) {
      joined.back().begin = it->span.begin;
    } else {
      joined.push_back(it->span);
    }
    was_match = it->is_match;
  }
  std::reverse(joined.begin(), joined.end());
  return joined;
}

std::vector<Span> KeptSpans(const RegexSplit& split, std::string_view piece) {
  const std::vector<Stretch> stretches = Stretches(split, piece);
  std::vector<Span> kept;
  switch (split.behavior) {
    case SplitBehavior::kRemoved:
    case SplitBehavior::kIsolated:
      for (const auto& [span, is_match] : stretches) {
        if (is_match && split.behavior == SplitBehavior::kRemoved) continue;
        kept.push_back(span);
      }
      return kept;
    case SplitBehavior::kMergedWithNext:
      return JoinWithNext(stretches);
    case SplitBehavior::kMergedWithPrevious:
    case SplitBehavior::kContiguous:
      return Join(stretches, split.behavior);
  }
  return kept;
}

std::vector<std::string_view> Apply(const RegexSplit& split,
                                    const std::vector<std::string_view>& pieces) {
  std::vector<std::string_view> cut;
  for (const std::string_view piece : pieces) {
    for (const Span& span : KeptSpans(split, piece)) {
      if (span.begin < span.end) cut.push_back(piece.substr(span.begin, span.end - span.begin));
    }
  }
  return cut;
}

// Copies the pieces into `storage`, each with a space before it unless it begins with one.
std::vector<std::string_view> WithPrefixSpaces(const std::vector<std::string_view>& pieces,
                                               std::string& storage) {
  size_t size = 0;
  for (const std::string_view piece : pieces) size += piece.size() + 1;
  storage.clear();
  storage.reserve(size);  // so that views stay valid
  std::vector<std::string_view> prefixed;
  for (const std::string_view piece : pieces) {
    const size_t begin = storage.size();
    if (piece.front() != ' ') storage.push_back(' ');
    storage.append(piece);
    prefixed.push_back(std::string_view(storage).substr(begin));
  }
  return prefixed;
}

}  // namespace

std::vector<std::string_view> PreTokenizer::Cut(std::string_view text, std::string& storage) const {
  std::vector<std::string_view> pieces;
  if (!text.empty()) pieces.push_back(text);
  for (const RegexSplit& split : steps_.splits) pieces = Apply(split, pieces);
  if (steps_.adds_prefix_space) pieces = WithPrefixSpaces(pieces, storage);
  for (const RegexSplit& split : steps_.byte_level_splits) pieces = Apply(split, pieces);
  return pieces;
}

}  // namespace routewright
