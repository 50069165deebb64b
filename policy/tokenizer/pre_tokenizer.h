// Cuts a text into the pre-tokens that BPE treats one by one: the `pre_tokenizer` of
// tokenizer.json, as a list of splits and, last, the byte level. Immutable after
// construction; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/tokenizer/regex.h"

namespace routewright {

// What becomes of a stretch that matches the pattern of a split.
enum class SplitBehavior {
  kRemoved,
  kIsolated,            // a piece of its own
  kMergedWithPrevious,  // ends the piece before it
  kMergedWithNext,      // begins the piece after it
  kContiguous,          // one piece with the matches beside it
};

// Cuts pieces at the matches of a regular expression.
struct RegexSplit {
  Regex regex;
  SplitBehavior behavior = SplitBehavior::kIsolated;
  bool is_inverted = false;  // cuts at what does not match
};

// The steps of a tokenizer.json in their order.
struct PreTokenizerSteps {
  std::vector<RegexSplit> splits;
  // Before the byte level's own split, each piece that does not begin with a space gets one.
  bool adds_prefix_space = false;
  std::vector<RegexSplit> byte_level_splits;  // GPT-2's pattern, or none
};

class PreTokenizer {
 public:
  explicit PreTokenizer(PreTokenizerSteps steps) : steps_(std::move(steps)) {}

  // The pre-tokens of `text` (valid UTF-8), one after the other. Where a prefix space is added, the
  // bytes live in `storage`; otherwise the views are into `text`.
  std::vector<std::string_view> Cut(std::string_view text, std::string& storage) const;

 private:
  PreTokenizerSteps steps_;
};

// GPT-2's pattern, which ByteLevel with use_regex applies. Source: openai/gpt-2, src/encoder.py.
inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
// The characters at which Digits cuts: Rust's char::is_numeric, that is Unicode 17's \p{N}.
inline constexpr std::string_view kDigitsPattern =
    R"([\p{N}\x{11DE0}-\x{11DE9}\x{16FF4}-\x{16FF6}])";

}  // namespace routewright
