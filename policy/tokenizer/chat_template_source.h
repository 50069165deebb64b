// Where a policy folder keeps its chat template. Reads files; any thread.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace routewright {

struct ChatTemplateSource {
  std::string jinja;        // empty: the folder has none
  std::string origin;       // the file it came from
  std::string bos_token;    // of tokenizer_config.json; empty if it names none
  bool writes_bos = false;  // the template begins with {{ bos_token }}
};

// chat_template.jinja if it is there, else chat_template of tokenizer_config.json (a string, or a
// list of which "default" counts). A folder with neither file has an empty source.
// Fails: kInvalidArgument naming the file if it is malformed; or what the file system says.
absl::StatusOr<ChatTemplateSource> ReadChatTemplateSource(const std::string& policy_folder);

}  // namespace routewright
