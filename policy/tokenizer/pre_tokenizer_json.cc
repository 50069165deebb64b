// The `pre_tokenizer` of tokenizer.json: ParsePreTokenizer of policy/tokenizer/tokenizer_json.h.
#include <nlohmann/json.hpp>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "policy/tokenizer/json_access.h"
#include "policy/tokenizer/tokenizer_json.h"

namespace routewright {
namespace {

using nlohmann::json;

absl::Status Invalid(const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("pre_tokenizer: ", what));
}

// Every character that means something in a regular expression gets a backslash.
std::string EscapeForRegex(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (std::string_view("\\.+*?()|[]{}^$#&-~").find(c) != std::string_view::npos) {
      escaped.push_back('\\');
    }
    escaped.push_back(c);
  }
  return escaped;
}

absl::StatusOr<SplitBehavior> ParseBehavior(const std::string& name) {
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  return Invalid(absl::StrCat("Split has the unknown behavior '", name, "'"));
}

absl::StatusOr<RegexSplit> ParseSplit(const json& step) {
  const json& pattern = JsonMember(step, "pattern");
  const json& regex = JsonMember(pattern, "Regex");
  const json& string = JsonMember(pattern, "String");
  if (!regex.is_string() && !string.is_string()) {
    return Invalid("the pattern of Split must be a Regex or a String");
  }
  RW_ASSIGN_OR_RETURN(const std::string behavior, JsonString(step, "behavior"));
  RegexSplit split;
  RW_ASSIGN_OR_RETURN(split.behavior, ParseBehavior(behavior));
  RW_ASSIGN_OR_RETURN(split.is_inverted, JsonBool(step, "invert", false));
  RW_ASSIGN_OR_RETURN(
      split.regex, Regex::Compile(regex.is_string() ? regex.get<std::string>()
                                                    : EscapeForRegex(string.get<std::string>())));
  return split;
}

absl::StatusOr<RegexSplit> ParseDigits(const json& step) {
  RW_ASSIGN_OR_RETURN(const bool is_individual, JsonBool(step, "individual_digits", false));
  RegexSplit split;
  split.behavior = is_individual ? SplitBehavior::kIsolated : SplitBehavior::kContiguous;
  RW_ASSIGN_OR_RETURN(split.regex, Regex::Compile(kDigitsPattern));
  return split;
}

absl::Status ParseByteLevel(const json& step, PreTokenizerSteps& steps) {
  RW_ASSIGN_OR_RETURN(steps.adds_prefix_space, JsonBool(step, "add_prefix_space", true));
  RW_ASSIGN_OR_RETURN(const bool uses_regex, JsonBool(step, "use_regex", true));
  if (uses_regex) {
    RegexSplit split;
    RW_ASSIGN_OR_RETURN(split.regex, Regex::Compile(kGpt2Pattern));
    steps.byte_level_splits.push_back(std::move(split));
  }
  return absl::OkStatus();
}

// The steps of a Sequence in Sequences, in order; views into `step`.
absl::Status Flatten(const json& step, int depth, std::vector<const json*>& flat) {
  constexpr int kMaxDepth = 16;
  if (depth > kMaxDepth) return Invalid("Sequences are nested too deeply");
  if (JsonMember(step, "type") != "Sequence") {
    flat.push_back(&step);
    return absl::OkStatus();
  }
  const json& children = JsonMember(step, "pretokenizers");
  if (!children.is_array()) return Invalid("a Sequence must list its 'pretokenizers'");
  for (const json& child : children) RW_RETURN_IF_ERROR(Flatten(child, depth + 1, flat));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<PreTokenizerSteps> ParsePreTokenizer(const nlohmann::json& pre_tokenizer) {
  std::vector<const json*> flat;
  RW_RETURN_IF_ERROR(Flatten(pre_tokenizer, /*depth=*/0, flat));
  PreTokenizerSteps steps;
  for (size_t i = 0; i < flat.size(); ++i) {
    const json& type = JsonMember(*flat[i], "type");
    const bool is_last = i + 1 == flat.size();
    if ((type == "ByteLevel") != is_last) {
      return Invalid(
          "its last step, and no other, must be ByteLevel: only byte-level BPE is supported");
    }
    if (type == "ByteLevel") {
      RW_RETURN_IF_ERROR(ParseByteLevel(*flat[i], steps));
    } else if (type == "Split") {
      RW_ASSIGN_OR_RETURN(RegexSplit split, ParseSplit(*flat[i]));
      steps.splits.push_back(std::move(split));
    } else if (type == "Digits") {
      RW_ASSIGN_OR_RETURN(RegexSplit split, ParseDigits(*flat[i]));
      steps.splits.push_back(std::move(split));
    } else {
      return Invalid(absl::StrCat("the step ", type.dump(),
                                  " is not supported: Split, Digits, ByteLevel and Sequence are"));
    }
  }
  if (flat.empty()) return Invalid("an empty Sequence: ByteLevel is needed");
  return steps;
}

}  // namespace routewright
