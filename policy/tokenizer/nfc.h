// Unicode normalization form C, in time that no text can blow up (runs of combining marks are
// sorted in O(n log n)). Pure; any thread.
#pragma once

#include <string>
#include <string_view>

namespace routewright {

// `text` (valid UTF-8) in NFC as Hugging Face `tokenizers` understands it: its tables are
// those of Unicode 9, so characters that came later neither reorder nor compose. Longer
// by a factor of 3 at most.
std::string NormalizeNfc(std::string_view text);

}  // namespace routewright
