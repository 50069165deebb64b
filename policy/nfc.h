// Unicode normalization form C, in time that no text can blow up (runs of combining marks are
// sorted in O(n log n)). Pure; any thread.
#pragma once

#include <string>
#include <string_view>

namespace switchyard {

// `text` (valid UTF-8) in NFC, by utf8proc's tables.
std::string NormalizeNfc(std::string_view text);

}  // namespace switchyard
