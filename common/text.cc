#include "common/text.h"

#include <utf8proc.h>

#include <cstdint>

namespace switchyard {
namespace {

constexpr int32_t kInvalid = -1;

// The code point at the start of `text` (not empty) and its number of bytes; kInvalid and 1 where
// there is none.
struct CodePoint {
  int32_t value;
  size_t num_bytes;
};

CodePoint First(std::string_view text) {
  utf8proc_int32_t value = kInvalid;
  const utf8proc_ssize_t num_bytes =
      utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                       static_cast<utf8proc_ssize_t>(text.size()), &value);
  if (num_bytes <= 0) return {kInvalid, 1};
  return {value, static_cast<size_t>(num_bytes)};
}

// Python's str.isspace.
bool IsSpace(int32_t c) {
  return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
         c == 0x205f || c == 0x3000;
}

void Append(std::string& out, int32_t code_point) {
  utf8proc_uint8_t bytes[4];
  const utf8proc_ssize_t num_bytes = utf8proc_encode_char(code_point, bytes);
  out.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(num_bytes));
}

}  // namespace

std::string_view StripWhitespace(std::string_view text) {
  size_t begin = 0;
  while (begin < text.size()) {
    const CodePoint c = First(text.substr(begin));
    if (!IsSpace(c.value)) break;
    begin += c.num_bytes;
  }
  size_t end = begin;  // after the last character that is no white space
  for (size_t at = begin; at < text.size();) {
    const CodePoint c = First(text.substr(at));
    at += c.num_bytes;
    if (!IsSpace(c.value)) end = at;
  }
  return text.substr(begin, end - begin);
}

std::string LowerCase(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = First(text.substr(at));
    if (c.value == kInvalid) {
      out.push_back(text[at]);
    } else {
      Append(out, utf8proc_tolower(c.value));
    }
    at += c.num_bytes;
  }
  return out;
}

std::string ReplaceInvalidUtf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = First(text.substr(at));
    Append(out, c.value == kInvalid ? 0xfffd : c.value);
    at += c.num_bytes;
  }
  return out;
}

}  // namespace switchyard
