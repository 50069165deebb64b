// Finds <tag>…</tag> pairs in a response's text, left to right, without overlap: from an opening
// tag of the wanted names to the first closing tag of the same name. Case-sensitive; contents may
// span lines. Pure; any thread.
#pragma once

#include <array>
#include <span>
#include <string_view>
#include <vector>

namespace routewright {

enum class Tag { kThink, kSearch, kInformation, kAnswer };
inline constexpr std::array<Tag, 4> kAllTags = {Tag::kThink, Tag::kSearch, Tag::kInformation,
                                                Tag::kAnswer};

std::string_view OpeningTag(Tag tag);  // "<think>"
std::string_view ClosingTag(Tag tag);  // "</think>"

struct TagPair {
  Tag tag;
  std::string_view content;  // a view into the text
};
std::vector<TagPair> ScanTagPairs(std::string_view text, std::span<const Tag> wanted);

}  // namespace routewright
