#include "policy/tokenizer/regex_translation.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/absl_view.h"
#include "common/status_macros.h"
#include "policy/tokenizer/unicode_additions.h"

namespace routewright {
namespace {

// What \w matches in Oniguruma, as the inside of a class.
constexpr std::string_view kWord = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";
// Letters whose escape means the same to both, inside and outside of a class.
constexpr std::string_view kSharedEscapes = "dDrntfea";
// Assertions that mean the same to both.
constexpr std::string_view kSharedAssertions = "AzZG";

// The characters newer than PCRE2's tables, as the inside of a class.
std::string Additions(std::string_view name) {
  std::string out;
  for (const CodePointRange& range : UnicodeAdditions(name)) {
    absl::StrAppend(&out, "\\x{", absl::Hex(range.first), "}-\\x{", absl::Hex(range.last), "}");
  }
  return out;
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsHexDigit(char c) { return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Reads a pattern from left to right, knowing only whether it is inside a class.
class Translator {
 public:
  explicit Translator(std::string_view pattern) : pattern_(pattern) {}

  absl::StatusOr<std::string> Run() {
    while (at_ < pattern_.size()) {
      if (pattern_[at_] == '\\') {
        RW_RETURN_IF_ERROR(Escape());
      } else if (is_in_class_) {
        RW_RETURN_IF_ERROR(InsideClass());
      } else {
        RW_RETURN_IF_ERROR(OutsideClass());
      }
    }
    if (is_in_class_) return Refuse("a class that is not closed");
    return std::move(out_);
  }

 private:
  absl::Status Refuse(std::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat("the regular expression '", AbslView(pattern_),
                                                   "' holds ", AbslView(what),
                                                   ", which is not supported"));
  }
  char Peek(size_t ahead) const {
    return at_ + ahead < pattern_.size() ? pattern_[at_ + ahead] : '\0';
  }
  void Copy(size_t count) {
    out_.append(pattern_.substr(at_, count));
    at_ += count;
  }
  void Replace(size_t count, std::string_view with) {
    out_.append(with);
    at_ += count;
  }

  absl::Status Escape() {
    const char c = Peek(1);
    if (c == '\0') return Refuse("a backslash at its end");
    if (IsDigit(c) && c != '0') return Refuse("a back reference");
    if (!IsLetter(c)) {
      Copy(2);
      return absl::OkStatus();
    }
    switch (c) {
      case 's':
        Replace(2, "\\p{White_Space}");
        return absl::OkStatus();
      case 'S':
        Replace(2, "\\P{White_Space}");
        return absl::OkStatus();
      case 'v':
        Replace(2, "\\x{0B}");
        return absl::OkStatus();
      case 'w':
        return Class(2, /*is_negated=*/false, absl::StrCat(AbslView(kWord), Additions("Word")));
      case 'W':
        return Class(2, /*is_negated=*/true, absl::StrCat(AbslView(kWord), Additions("Word")));
      case 'p':
      case 'P':
        return Property();
      case 'x':
      case 'u':
        return CodePoint();
      default:
        break;
    }
    if (kSharedEscapes.find(c) == std::string_view::npos &&
        (is_in_class_ || kSharedAssertions.find(c) == std::string_view::npos)) {
      return Refuse(absl::StrCat("the escape \\", std::string(1, c)));
    }
    Copy(2);
    return absl::OkStatus();
  }

  // \p{Name}, \P{Name}, \p{^Name}.
  absl::Status Property() {
    const size_t close = pattern_.find('}', at_);
    if (Peek(2) != '{' || close == std::string_view::npos) return Refuse("\\p without {…}");
    const bool has_caret = Peek(3) == '^';
    const size_t begin = at_ + (has_caret ? 4 : 3);
    const std::string_view name = pattern_.substr(begin, close - begin);
    const std::string additions = Additions(name);
    if (additions.empty()) {
      Copy(close + 1 - at_);
      return absl::OkStatus();
    }
    return Class(close + 1 - at_, /*is_negated=*/has_caret != (Peek(1) == 'P'),
                 absl::StrCat("\\p{", AbslView(name), "}", additions));
  }

  // Replaces the next `count` bytes by the class with this inside.
  absl::Status Class(size_t count, bool is_negated, const std::string& inside) {
    if (!is_in_class_) {
      Replace(count, absl::StrCat(is_negated ? "[^" : "[", inside, "]"));
    } else if (is_negated) {
      return Refuse(absl::StrCat(AbslView(pattern_.substr(at_, count)), " inside a class"));
    } else {
      Replace(count, inside);
    }
    return absl::OkStatus();
  }

  // \xHH, \x{H…}, \uHHHH.
  absl::Status CodePoint() {
    size_t begin = at_ + 2;
    size_t count = Peek(1) == 'u' ? 4 : 2;
    size_t skip = 0;
    if (Peek(1) == 'x' && Peek(2) == '{') {
      const size_t close = pattern_.find('}', at_);
      if (close == std::string_view::npos) return Refuse("\\x{ without }");
      begin = at_ + 3;
      count = close - begin;
      skip = 1;
    }
    const std::string_view digits = pattern_.substr(std::min(begin, pattern_.size()), count);
    if (digits.empty() || digits.size() != count) return Refuse("an incomplete code point");
    for (const char c : digits) {
      if (!IsHexDigit(c)) return Refuse("a code point that is not hexadecimal");
    }
    out_.append(absl::StrCat("\\x{", AbslView(digits), "}"));
    at_ = begin + count + skip;
    return absl::OkStatus();
  }

  absl::Status InsideClass() {
    const char c = pattern_[at_];
    if (c == '[') return Refuse("a class inside a class");
    if (c == '&' && Peek(1) == '&') return Refuse("an intersection of classes (&&)");
    if (c == ']') is_in_class_ = false;
    Copy(1);
    return absl::OkStatus();
  }

  absl::Status OutsideClass() {
    switch (pattern_[at_]) {
      case '[': {
        is_in_class_ = true;
        Copy(Peek(1) == '^' ? 2 : 1);
        if (Peek(0) == ']') return Refuse("a class that begins with ]");
        return absl::OkStatus();
      }
      case '(':
        return Group();
      case '{':
        return Repetition();
      default:
        Copy(1);
        return absl::OkStatus();
    }
  }

  // (?:…) (?=…) (?!…) (?<=…) (?<!…) (?>…) (?i…): anything else after (? is refused.
  absl::Status Group() {
    if (Peek(1) != '?') {
      Copy(1);
      return absl::OkStatus();
    }
    const char c = Peek(2);
    if (c == '<' && Peek(3) != '=' && Peek(3) != '!') return Refuse("a named group");
    if (c == ':' || c == '=' || c == '!' || c == '<' || c == '>') {
      Copy(3);
      return absl::OkStatus();
    }
    size_t flags = 2;
    while (Peek(flags) == 'i' || Peek(flags) == 'x' || Peek(flags) == '-') ++flags;
    if (flags == 2 || (Peek(flags) != ':' && Peek(flags) != ')'))
      return Refuse("a group of a kind");
    Copy(flags + 1);
    return absl::OkStatus();
  }

  absl::Status Repetition() {
    const size_t close = pattern_.find('}', at_);
    if (close == std::string_view::npos) return Refuse("{ without }");
    const std::string_view bounds = pattern_.substr(at_ + 1, close - at_ - 1);
    bool is_counted = !bounds.empty() && IsDigit(bounds.front());
    for (const char c : bounds) is_counted = is_counted && (IsDigit(c) || c == ',');
    if (!is_counted) return Refuse("{ that does not begin {n}, {n,} or {n,m}");
    Copy(close + 1 - at_);
    if (Peek(0) == '+' || Peek(0) == '?') return Refuse("a possessive or lazy {n,m}");
    return absl::OkStatus();
  }

  std::string_view pattern_;
  size_t at_ = 0;
  bool is_in_class_ = false;
  std::string out_;
};

}  // namespace

absl::StatusOr<std::string> TranslateOnigurumaPattern(std::string_view pattern) {
  return Translator(pattern).Run();
}

}  // namespace routewright
