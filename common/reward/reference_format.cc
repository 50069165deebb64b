// The published rules of format and routes.
#include <algorithm>

#include "common/reward/reference_scoring.h"
#include "common/reward/tag_scan.h"
#include "common/text.h"
#include "common/unicode.h"

namespace routewright {
namespace {

bool Contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

size_t Count(std::string_view text, std::string_view part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string_view::npos;
       at = text.find(part, at + part.size()))
    ++count;
  return count;
}

// The name and the query of a search with exactly one colon, a query, no placeholder and
// a known model; else null.
struct Search {
  std::string_view name, query;
};
std::optional<Search> ParseSearch(std::string_view content) {
  content = StripWhitespace(content);
  if (Count(content, ":") != 1) return std::nullopt;
  const size_t colon = content.find(':');
  const Search search = {StripWhitespace(content.substr(0, colon)),
                         StripWhitespace(content.substr(colon + 1))};
  const std::string lower = LowerCaseFull(content);
  if (search.query.empty() || Contains(lower, "llm-name") || Contains(lower, "your-query"))
    return std::nullopt;
  if (!ResolveReferenceName(search.name).has_value()) return std::nullopt;
  return search;
}

bool IsPairFaulty(const TagPair& pair) {
  const bool holds_tag = std::any_of(kAllTags.begin(), kAllTags.end(), [&](Tag tag) {
    return Contains(pair.content, OpeningTag(tag)) || Contains(pair.content, ClosingTag(tag));
  });
  if (holds_tag) return true;
  if (pair.tag == Tag::kThink) {
    const std::string_view thought = StripWhitespace(pair.content);
    return thought.empty() || thought == "...";
  }
  if (pair.tag == Tag::kSearch) {
    const std::optional<Search> search = ParseSearch(pair.content);
    return !search.has_value() ||
           Contains(LowerCaseFull(search->query), LowerCaseFull(search->name));
  }
  return false;
}

bool IsFaulty(std::string_view response) {
  const std::vector<TagPair> pairs = ScanTagPairs(response, kAllTags);
  const auto count = [&](Tag tag) {
    return std::count_if(pairs.begin(), pairs.end(),
                         [&](const TagPair& pair) { return pair.tag == tag; });
  };
  for (Tag tag : kAllTags) {
    if (Count(response, OpeningTag(tag)) != Count(response, ClosingTag(tag))) return true;
  }
  if (count(Tag::kAnswer) != 1 || count(Tag::kThink) == 0 ||
      count(Tag::kSearch) != count(Tag::kInformation)) {
    return true;
  }
  const std::string_view text = StripWhitespace(response);
  if (!text.starts_with(OpeningTag(Tag::kThink)) || !text.ends_with(ClosingTag(Tag::kAnswer)))
    return true;
  return std::any_of(pairs.begin(), pairs.end(), IsPairFaulty);
}

}  // namespace

double ReferenceFormatReward(std::string_view response) { return IsFaulty(response) ? -1 : 0; }

int ReferenceValidRoutes(std::string_view response) {
  static constexpr Tag kRouteTags[] = {Tag::kSearch, Tag::kAnswer};
  int routes = 0;
  for (const TagPair& pair : ScanTagPairs(response, kRouteTags)) {
    if (pair.tag != Tag::kSearch) continue;
    if (!ParseSearch(pair.content).has_value()) break;
    ++routes;
  }
  return routes;
}

}  // namespace routewright
