#include "common/config/schema.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <numeric>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/check.h"
#include "proto/config_options.pb.h"

namespace routewright {
namespace {

namespace pb = google::protobuf;

std::optional<double> ParseEnd(const std::string& text) {
  if (text == "inf") return std::numeric_limits<double>::infinity();
  if (text == "-inf") return -std::numeric_limits<double>::infinity();
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// KlEstimator → KL_ESTIMATOR_
std::string EnumPrefix(const pb::EnumDescriptor& type) {
  std::string prefix;
  for (char c : type.name()) {
    if (absl::ascii_isupper(c) && !prefix.empty()) prefix += '_';
    prefix += absl::ascii_toupper(c);
  }
  return prefix + "_";
}

// Levenshtein's distance, row by row.
size_t EditDistance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

bool Range::Contains(double value) const {
  return (has_low ? value >= low : value > low) && (has_high ? value <= high : value < high);
}

std::optional<Range> ParseRange(const std::string& text) {
  if (text.size() < 5 || (text[0] != '[' && text[0] != '(') ||
      (text.back() != ']' && text.back() != ')')) {
    return std::nullopt;
  }
  const std::vector<std::string> ends = absl::StrSplit(text.substr(1, text.size() - 2), ',');
  if (ends.size() != 2) return std::nullopt;
  const std::optional<double> low = ParseEnd(std::string(absl::StripAsciiWhitespace(ends[0])));
  const std::optional<double> high = ParseEnd(std::string(absl::StripAsciiWhitespace(ends[1])));
  if (!low || !high || *low > *high) return std::nullopt;
  return Range{*low, *high, text[0] == '[', text.back() == ']'};
}

std::string UnitOf(const pb::FieldDescriptor& field) { return field.options().GetExtension(unit); }
std::string RangeTextOf(const pb::FieldDescriptor& field) {
  return field.options().GetExtension(range);
}
bool IsRequired(const pb::FieldDescriptor& field) {
  return field.options().GetExtension(is_required);
}

std::optional<Range> RangeOf(const pb::FieldDescriptor& field) {
  const std::string text = RangeTextOf(field);
  if (text.empty()) return std::nullopt;
  std::optional<Range> parsed = ParseRange(text);
  RW_CHECK(parsed.has_value()) << field.full_name() << " has the range " << text;
  return parsed;
}

std::string EnumValueName(const pb::EnumValueDescriptor& value) {
  const std::string prefix = EnumPrefix(*value.type());
  RW_CHECK(value.name().rfind(prefix, 0) == 0)
      << value.full_name() << " lacks the prefix " << prefix;
  return absl::AsciiStrToLower(value.name().substr(prefix.size()));
}

std::vector<std::string> EnumValueNames(const pb::EnumDescriptor& type) {
  std::vector<std::string> names;
  for (int i = 0; i < type.value_count(); ++i) {
    if (type.value(i)->number() != 0) names.push_back(EnumValueName(*type.value(i)));
  }
  return names;
}

const pb::EnumValueDescriptor* FindEnumValue(const pb::EnumDescriptor& type,
                                             const std::string& name) {
  for (int i = 0; i < type.value_count(); ++i) {
    if (type.value(i)->number() != 0 && EnumValueName(*type.value(i)) == name) return type.value(i);
  }
  return nullptr;
}

std::vector<std::string> FieldNames(const pb::Descriptor& message) {
  std::vector<std::string> names;
  for (int i = 0; i < message.field_count(); ++i) names.push_back(message.field(i)->name());
  return names;
}

std::string Suggest(const std::string& word, std::span<const std::string> candidates) {
  if (candidates.empty()) return "";
  const std::string lower = absl::AsciiStrToLower(word.substr(0, 100));
  std::vector<std::string> longer;  // "api_key": api_key_env or api_key_file
  for (const std::string& candidate : candidates) {
    if (absl::StartsWith(candidate, lower + "_")) longer.push_back(candidate);
  }
  if (!longer.empty()) {
    return absl::StrCat("; did you mean ", absl::StrJoin(longer, " or "), "?");
  }
  const auto distance = [&](const std::string& candidate) {
    return EditDistance(lower, candidate);
  };
  const auto nearest = std::min_element(
      candidates.begin(), candidates.end(),
      [&](const std::string& a, const std::string& b) { return distance(a) < distance(b); });
  if (distance(*nearest) <= nearest->size() / 2)
    return absl::StrCat("; did you mean ", *nearest, "?");
  return absl::StrCat("; valid: ", absl::StrJoin(candidates.begin(), candidates.end(), ", "));
}

}  // namespace routewright
