#include "policy/tokenizer/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "absl/strings/str_cat.h"
#include "common/absl_view.h"
#include "common/check.h"
#include "common/status_macros.h"
#include "policy/tokenizer/regex_translation.h"

namespace routewright {
namespace {

// Work per match attempt: a megabyte of one letter needs about 1e6 of these.
constexpr uint32_t kMatchLimit = 20'000'000;
constexpr uint32_t kHeapLimitKib = 512 * 1024;

struct CompileContextDeleter {
  void operator()(pcre2_compile_context* context) const { pcre2_compile_context_free(context); }
};
struct MatchContextDeleter {
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};
struct MatchDataDeleter {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};

std::string ErrorText(int code) {
  PCRE2_UCHAR buffer[256];
  pcre2_get_error_message(code, buffer, sizeof(buffer));
  return reinterpret_cast<const char*>(buffer);
}

size_t CharacterSize(std::string_view text, size_t at) {
  size_t size = 1;
  while (at + size < text.size() && (static_cast<uint8_t>(text[at + size]) & 0xc0) == 0x80) ++size;
  return size;
}

// One call's matching state: PCRE2 wants its own per thread.
class Matcher {
 public:
  Matcher(const pcre2_code* code, std::string_view text)
      : code_(code),
        text_(text),
        context_(pcre2_match_context_create(nullptr)),
        data_(pcre2_match_data_create(1, nullptr)) {
    RW_CHECK(context_ != nullptr && data_ != nullptr) << "out of memory";
    pcre2_set_match_limit(context_.get(), kMatchLimit);
    pcre2_set_heap_limit(context_.get(), kHeapLimitKib);
  }

  // The first match at or after byte `from`; false if there is none.
  bool Find(size_t from, Span& match) {
    int found = Run(from, PCRE2_NO_UTF_CHECK);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT) found = Run(from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT);
    if (found < 0) return false;
    const PCRE2_SIZE* offsets = pcre2_get_ovector_pointer(data_.get());
    match = {offsets[0], offsets[1]};
    return match.begin <= match.end;
  }

 private:
  int Run(size_t from, uint32_t options) {
    return pcre2_match(code_, reinterpret_cast<PCRE2_SPTR>(text_.data()), text_.size(), from,
                       options, data_.get(), context_.get());
  }

  const pcre2_code* code_;
  std::string_view text_;
  std::unique_ptr<pcre2_match_context, MatchContextDeleter> context_;
  std::unique_ptr<pcre2_match_data, MatchDataDeleter> data_;
};

}  // namespace

void Regex::CodeDeleter::operator()(pcre2_real_code_8* code) const { pcre2_code_free(code); }

absl::StatusOr<Regex> Regex::Compile(std::string_view pattern) {
  RW_ASSIGN_OR_RETURN(const std::string translated, TranslateOnigurumaPattern(pattern));
  std::unique_ptr<pcre2_compile_context, CompileContextDeleter> context(
      pcre2_compile_context_create(nullptr));
  RW_CHECK(context != nullptr) << "out of memory";
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE error_at = 0;
  Regex regex;
  regex.code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()),
                                  translated.size(), PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE,
                                  &error, &error_at, context.get()));
  if (regex.code_ == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("the regular expression '", AbslView(pattern),
                                                   "' does not compile: ", ErrorText(error)));
  }
  // Without a JIT for this machine the interpreter runs the pattern, slower.
  pcre2_jit_compile(regex.code_.get(), PCRE2_JIT_COMPLETE);
  return regex;
}

void Regex::FindAll(std::string_view text, std::vector<Span>& matches) const {
  if (text.empty()) return;
  Matcher matcher(code_.get(), text);
  size_t from = 0;
  size_t last_end = std::string_view::npos;
  Span match{};
  while (from <= text.size() && matcher.Find(from, match)) {
    const bool is_empty_after_match = match.begin == match.end && match.end == last_end;
    if (is_empty_after_match) {
      from += CharacterSize(text, from);
      continue;
    }
    matches.push_back(match);
    from = last_end = match.end;
  }
}

}  // namespace routewright
