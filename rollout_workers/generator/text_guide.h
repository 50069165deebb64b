// Guides a round to a text that it must go on with (GuidedText): says which bytes may come next, token by
// token, wherever the tokens' borders lie. One thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/tokenizer/tokenizer.h"
#include "rollout_workers/generator/generator.h"

namespace routewright {

class TextGuide {
 public:
  explicit TextGuide(GuidedText guided);
  // Adds one token's bytes.
  void Append(std::string_view token_bytes);
  // What the bytes of the next token must begin with, or be the beginning of. Empty: any token may come.
  std::string_view due() const { return is_on_ ? std::string_view(due_) : std::string_view(); }
  // Whether white space may still come before `due`.
  bool may_be_spaced() const { return may_be_spaced_; }
  // The text is there in full.
  bool is_done() const { return is_done_; }

 private:
  void Consume(std::string_view bytes);

  GuidedText guided_;
  std::string tail_;  // while `after` is waited for: the last bytes, one fewer than its length
  std::string due_;
  bool is_on_ = false;
  bool may_be_spaced_ = false;
  bool is_done_ = false;
};

// The tokens whose bytes agree with `due`, ascending: they are its beginning, or it is theirs; with white space before
// it, or nothing else, if it may be spaced. Special tokens are left out.
std::vector<uint32_t> TokensThatSpell(const Tokenizer& tokenizer, std::string_view due,
                                      bool may_be_spaced);

}  // namespace routewright
