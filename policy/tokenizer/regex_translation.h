// Rewrites a regular expression so that PCRE2 (with UTF and UCP) reads it as Oniguruma does, which
// Hugging Face `tokenizers` uses. What the two read differently and cannot be rewritten is refused,
// so that no pattern silently means something else. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace routewright {

// \s and \S become the White_Space property (PCRE2's own \s also holds U+180E), \w and \W
// Oniguruma's word characters, \v the one character U+000B, \uHHHH becomes \x{HHHH}; \p{L}, \p{N}
// and \p{M} also get the characters that are newer than PCRE2's tables.
// Fails: kInvalidArgument naming the part that is refused: other letter escapes, back references,
// flags other than i and x, nested or intersected classes, possessive or lazy {n,m}.
absl::StatusOr<std::string> TranslateOnigurumaPattern(std::string_view pattern);

}  // namespace routewright
