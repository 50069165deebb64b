// How single values look in YAML.
#include <utf8proc.h>

#include <algorithm>
#include <charconv>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/config/yaml_writer.h"

namespace routewright {
namespace {

// Words that YAML readers take for something other than text.
bool IsReserved(const std::string& text) {
  const std::string lower = absl::AsciiStrToLower(text);
  for (const char* word :
       {"null", "true", "false", "yes", "no", "on", "off", "y", "n", ".inf", ".nan"}) {
    if (lower == word) return true;
  }
  return false;
}

bool IsSimpleWord(const std::string& text) {
  if (text.empty() || !(absl::ascii_isalpha(text[0]) || text[0] == '/' || text[0] == '_'))
    return false;
  const bool is_plain = std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '_' || c == '.' || c == '/' || c == '-';
  });
  return is_plain && !IsReserved(text);
}

// Characters that YAML readers may take for line ends or marks: written as \u escapes.
bool NeedsEscape(utf8proc_int32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x2028 || c == 0x2029 || c == 0xFEFF;
}

}  // namespace

std::string TextToYaml(const std::string& text) {
  if (IsSimpleWord(text)) return text;
  std::string out = "\"";
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  const auto size = static_cast<utf8proc_ssize_t>(text.size());
  for (utf8proc_ssize_t at = 0; at < size;) {
    utf8proc_int32_t c = 0;
    const utf8proc_ssize_t length = utf8proc_iterate(bytes + at, size - at, &c);
    if (length < 0) {  // not UTF-8: YAML has no bytes
      out += "\\uFFFD";
      ++at;
      continue;
    }
    if (c == '"' || c == '\\') {
      absl::StrAppend(&out, "\\", std::string(1, static_cast<char>(c)));
    } else if (c == '\n') {
      out += "\\n";
    } else if (NeedsEscape(c)) {
      absl::StrAppendFormat(&out, "\\u%04X", c);
    } else {
      out.append(text, static_cast<size_t>(at), static_cast<size_t>(length));
    }
    at += length;
  }
  return out + "\"";
}

std::string NumberToYaml(double value) {
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value).ptr;
  std::string text(buffer, end);
  if (text.find('.') != std::string::npos) return text;
  const size_t exponent = text.find('e');
  return text.insert(exponent == std::string::npos ? text.size() : exponent, ".0");
}

}  // namespace routewright
