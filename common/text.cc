#include "common/text.h"

#include <utf8proc.h>

#include "common/unicode.h"

namespace routewright {

std::string_view StripWhitespace(std::string_view text) {
  size_t begin = 0;
  while (begin < text.size()) {
    const CodePoint c = FirstCodePoint(text.substr(begin));
    if (!IsSpace(c.value)) break;
    begin += c.num_bytes;
  }
  size_t end = begin;  // after the last character that is no white space
  for (size_t at = begin; at < text.size();) {
    const CodePoint c = FirstCodePoint(text.substr(at));
    at += c.num_bytes;
    if (!IsSpace(c.value)) end = at;
  }
  return text.substr(begin, end - begin);
}

std::string LowerCase(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = FirstCodePoint(text.substr(at));
    if (c.value == kNoCodePoint) {
      out.push_back(text[at]);
    } else {
      AppendCodePoint(out, utf8proc_tolower(c.value));
    }
    at += c.num_bytes;
  }
  return out;
}

std::string ReplaceInvalidUtf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = FirstCodePoint(text.substr(at));
    AppendCodePoint(out, c.value == kNoCodePoint ? 0xfffd : c.value);
    at += c.num_bytes;
  }
  return out;
}

}  // namespace routewright
