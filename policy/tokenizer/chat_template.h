// Turns the prompt (one user message) into the text that the policy continues, as
// apply_chat_template with add_generation_prompt does. By name, or recognised from the policy
// folder. A template is not run: its family is found by its markers, and what it says by default is
// read out of its strings.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "proto/config.pb.h"

namespace routewright {

// `template_name` AUTO reads chat_template.jinja or tokenizer_config.json of the folder; a folder
// without one is PLAIN. Any other name is returned as it is.
// Fails: kInvalidArgument if a template is there but not one of the known ones.
absl::StatusOr<PolicyConfig::ChatTemplate> ResolveChatTemplate(
    PolicyConfig::ChatTemplate template_name, const std::string& policy_folder);

// One family's text around the user message. Immutable; any thread.
//   PLAIN    the message alone
//   CHATML
//   [<|im_start|>system\n…<|im_end|>\n]<|im_start|>user\n…<|im_end|>\n<|im_start|>assistant\n
//   LLAMA3   <|begin_of_text|>[system header with the dates<|eot_id|>]user header, …<|eot_id|>,
//            assistant header; the message is stripped of white space at its ends
// The default system text (ChatML) and the header "Cutting Knowledge Date" (Llama 3.1 and later)
// are there where the folder's template has them. Today's date in that header is the one that the
// template falls back to ("26 Jul 2024"), never the clock's, so that prompts stay the same.
class ChatTemplate {
 public:
  // The family by name, filled in from the folder's template if that is of the same family.
  // Fails as ResolveChatTemplate.
  static absl::StatusOr<ChatTemplate> Load(PolicyConfig::ChatTemplate template_name,
                                           const std::string& policy_folder);
  std::string Apply(std::string_view user_message) const;

 private:
  std::string before_;
  std::string after_;
  bool strips_message_ = false;
};

}  // namespace routewright
