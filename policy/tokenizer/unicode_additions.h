// Characters of Unicode 15 to 16, which the PCRE2 of today's distributions does not know yet (10.42
// has Unicode 14) and the Oniguruma inside Hugging Face `tokenizers` 0.23 does. The table is made
// by tests/policy/parity/make_unicode_additions.py. Pure; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace routewright {

// Code points first to last, both included.
struct CodePointRange {
  uint32_t first;
  uint32_t last;
};

// What is missing in \p{name} for a general category ("L", "Lu", …), a script ("Han", "Hiragana",
// "Katakana"), or in \w ("Word"); empty for any other name.
std::span<const CodePointRange> UnicodeAdditions(std::string_view name);

}  // namespace routewright
