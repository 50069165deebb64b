// Turns the prompt (one user message) into the text that the policy continues, as apply_chat_template with
// add_generation_prompt does. By name, or recognised from the policy folder.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "proto/config.pb.h"

namespace switchyard {

// `template_name` AUTO reads tokenizer_config.json / chat_template.jinja of the folder; a folder without one is PLAIN.
// Fails: kInvalidArgument if a template is there but not one of the known ones.
absl::StatusOr<PolicyConfig::ChatTemplate> ResolveChatTemplate(PolicyConfig::ChatTemplate template_name,
                                                               const std::string& policy_folder);
// The default system text of the family is included where apply_chat_template includes it.
class ChatTemplate {
 public:
  static absl::StatusOr<ChatTemplate> Load(PolicyConfig::ChatTemplate template_name, const std::string& policy_folder);
  std::string Apply(std::string_view user_message) const;

 private:
  std::string before_;
  std::string after_;
};

}  // namespace switchyard
