// A regular expression of a tokenizer.json. Hugging Face `tokenizers` gives it to Oniguruma; here
// PCRE2 runs it, after the few things that the two read differently have been rewritten
// (policy/tokenizer/regex_translation.h). Immutable after compiling; any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

struct pcre2_real_code_8;

namespace routewright {

// A stretch of a text: bytes [begin, end).
struct Span {
  size_t begin;
  size_t end;
};

class Regex {
 public:
  // Fails: kInvalidArgument if the pattern cannot be read as Oniguruma would.
  static absl::StatusOr<Regex> Compile(std::string_view pattern);

  // Appends every match, left to right, not overlapping; `text` must be valid UTF-8. A match that
  // costs more than a fixed amount of work (a pattern that backtracks without end) ends the search
  // there: what follows counts as not matched.
  void FindAll(std::string_view text, std::vector<Span>& matches) const;

 private:
  struct CodeDeleter {
    void operator()(pcre2_real_code_8* code) const;
  };
  std::unique_ptr<pcre2_real_code_8, CodeDeleter> code_;
};

}  // namespace routewright
