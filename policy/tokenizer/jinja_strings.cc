#include "policy/tokenizer/jinja_strings.h"

#include <algorithm>

namespace routewright {
namespace {

char Unescape(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case 'r':
      return '\r';
    default:
      return c;  // \\ \' \"
  }
}

// Reads the literal whose opening quote is at `at`; `at` ends behind its closing quote.
std::string ReadLiteral(std::string_view text, size_t& at) {
  const char quote = text[at++];
  std::string literal;
  while (at < text.size() && text[at] != quote) {
    if (text[at] == '\\' && at + 1 < text.size())
      ++at, literal.push_back(Unescape(text[at++]));
    else
      literal.push_back(text[at++]);
  }
  at = std::min(at + 1, text.size());
  return literal;
}

// Reads a block's literals up to its closing "%}" or "}}"; `at` ends behind it.
void ReadBlock(std::string_view text, std::string_view close, size_t& at,
               std::vector<std::string>& strings) {
  while (at < text.size()) {
    if (text.substr(at, close.size()) == close) {
      at += close.size();
      return;
    }
    if (text[at] == '\'' || text[at] == '"') {
      strings.push_back(ReadLiteral(text, at));
    } else {
      ++at;
    }
  }
}

}  // namespace

std::vector<std::string> JinjaStrings(std::string_view jinja) {
  std::vector<std::string> strings;
  for (size_t at = 0; at < jinja.size();) {
    const std::string_view open = jinja.substr(at, 2);
    if (open == "{#") {
      const size_t end = jinja.find("#}", at);
      at = end == std::string_view::npos ? jinja.size() : end + 2;
    } else if (open == "{{" || open == "{%") {
      at += 2;
      ReadBlock(jinja, open == "{{" ? "}}" : "%}", at, strings);
    } else {
      size_t end = at + 1;
      while (end < jinja.size() && jinja[end] != '{') ++end;
      strings.emplace_back(jinja.substr(at, end - at));
      at = end;
    }
  }
  return strings;
}

}  // namespace routewright
