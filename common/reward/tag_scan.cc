#include "common/reward/tag_scan.h"

#include <optional>

namespace routewright {
namespace {

std::optional<Tag> OpeningTagAt(std::string_view text, std::span<const Tag> wanted) {
  for (Tag tag : wanted) {
    if (text.starts_with(OpeningTag(tag))) return tag;
  }
  return std::nullopt;
}

}  // namespace

std::string_view OpeningTag(Tag tag) {
  static constexpr std::string_view kTags[] = {"<think>", "<search>", "<information>", "<answer>"};
  return kTags[static_cast<int>(tag)];
}

std::string_view ClosingTag(Tag tag) {
  static constexpr std::string_view kTags[] = {"</think>", "</search>", "</information>",
                                               "</answer>"};
  return kTags[static_cast<int>(tag)];
}

std::vector<TagPair> ScanTagPairs(std::string_view text, std::span<const Tag> wanted) {
  std::vector<TagPair> pairs;
  // Once no closing tag of a name is left, its later opening tags need no
  // search: the scan stays linear.
  std::array<bool, kAllTags.size()> is_exhausted{};
  for (size_t at = text.find('<'); at != std::string_view::npos; at = text.find('<', at)) {
    const std::optional<Tag> tag = OpeningTagAt(text.substr(at), wanted);
    if (!tag.has_value() || is_exhausted[static_cast<size_t>(*tag)]) {
      ++at;
      continue;
    }
    const size_t begin = at + OpeningTag(*tag).size();
    const size_t end = text.find(ClosingTag(*tag), begin);
    if (end == std::string_view::npos) {
      is_exhausted[static_cast<size_t>(*tag)] = true;
      ++at;
      continue;
    }
    pairs.push_back({*tag, text.substr(begin, end - begin)});
    at = end + ClosingTag(*tag).size();
  }
  return pairs;
}

}  // namespace routewright
