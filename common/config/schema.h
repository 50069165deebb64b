// What config.proto says about a field beyond its type: unit, range, whether it must be set, and
// the names that YAML uses for its enum values. Pure; any thread.
#pragma once

#include <google/protobuf/descriptor.h>

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace routewright {

// An interval with open or closed ends, as the `range` option writes it: "[0, 1)", "(0, inf)".
struct Range {
  double low, high;
  bool has_low, has_high;  // whether the end itself belongs to it
  bool Contains(double value) const;
};
// Null if `text` is no interval.
std::optional<Range> ParseRange(const std::string& text);

// The options of a field; "" or false without. A range that doesn't parse is a mistake
// in config.proto: aborts.
std::string UnitOf(const google::protobuf::FieldDescriptor& field);
std::string RangeTextOf(const google::protobuf::FieldDescriptor& field);
std::optional<Range> RangeOf(const google::protobuf::FieldDescriptor& field);
bool IsRequired(const google::protobuf::FieldDescriptor& field);

// ALGORITHM_GRPO of enum Algorithm is `grpo` in YAML.
std::string EnumValueName(const google::protobuf::EnumValueDescriptor& value);
// Every name that YAML may use, X_UNSPECIFIED left out; the value of one, or null.
std::vector<std::string> EnumValueNames(const google::protobuf::EnumDescriptor& type);
const google::protobuf::EnumValueDescriptor* FindEnumValue(
    const google::protobuf::EnumDescriptor& type, const std::string& name);

std::vector<std::string> FieldNames(const google::protobuf::Descriptor& message);

// "; did you mean x?" for the candidate of least edit distance, or "; valid: a,
// b, c" when none is near.
std::string Suggest(const std::string& word, std::span<const std::string> candidates);

}  // namespace routewright
