// Small operations on text that others wrote: Unicode white space, letter case, broken
// UTF-8. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

namespace routewright {

// `text` without the white space at its ends. White space is Unicode's, as Python's str.isspace
// defines it. Bytes that are not UTF-8 are no white space. A view into `text`.
std::string_view StripWhitespace(std::string_view text);

// Lower case, code point by code point (Unicode simple mapping); bytes that are
// not UTF-8 stay as they are.
std::string LowerCase(std::string_view text);

// Every byte that is no part of a valid UTF-8 character becomes U+FFFD: what a
// protobuf string may hold.
std::string ReplaceInvalidUtf8(std::string_view text);

}  // namespace routewright
