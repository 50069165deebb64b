// What the policy and the pool's models are told: the prompt template of a config, filled in. The
// user's question and the policy's query are data: nothing in them is expanded, and no special
// token in a question is recognised.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "policy/tokenizer/tokenizer.h"
#include "proto/config.pb.h"

namespace routewright {

// The texts of a PromptConfig, its files read.
struct PromptTemplates {
  std::string prompt;      // with {question}; {models} and {max_rounds} if it likes
  std::string model_line;  // with {name}, {description}, {price}, as it likes
  std::string pool;        // with {query}
};

// Fails: kNotFound naming the template file.
absl::StatusOr<PromptTemplates> LoadPromptTemplates(const PromptConfig& config);

// Immutable; any thread.
class Prompt {
 public:
  // Puts a user message into the chat form that the policy continues: ChatTemplate::Apply.
  using ChatForm = std::function<std::string(std::string_view user_message)>;

  // `max_rounds` is EpisodeConfig's. `tokenizer` must outlive the prompt.
  // Fails: kInvalidArgument naming the template and the placeholder that it lacks,
  // repeats or that does not exist.
  static absl::StatusOr<Prompt> Build(const PromptTemplates& templates, int max_rounds,
                                      const PoolConfig& pool, const ChatForm& chat_form,
                                      const Tokenizer* tokenizer);

  // The policy's prompt for a question, white space at its ends trimmed. Equal to encoding the
  // whole text at once, unless that would recognise a special or added token in the question: then
  // the question is encoded as plain text, by itself.
  std::vector<uint32_t> Tokens(std::string_view question) const;

  // The tag that the prompt ends in and the policy goes on from; mostly empty.
  const std::string& opened_tag() const { return opened_tag_; }

  // The user message that a called model gets.
  std::string PoolMessage(std::string_view query) const;

 private:
  std::string before_question_, after_question_;
  std::string before_query_, after_query_;
  std::string opened_tag_;
  const Tokenizer* tokenizer_ = nullptr;
};

// "0.30": dollars of a price in micro-dollars, with at least two decimals and no more than it
// needs.
std::string FormatPrice(int64_t microusd);

}  // namespace routewright
