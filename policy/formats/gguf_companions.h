// The files that stand beside the weights in a policy folder, out of a GGUF file's metadata:
// tokenizer.json, tokenizer_config.json (with the chat template) and generation_config.json.
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "policy/formats/gguf.h"
#include "policy/formats/gguf_tokenizer.h"
#include "policy/model/model_config.h"

namespace routewright {

// The metadata's tokenizer.* keys. What is missing, or of another type, stays empty. Pure.
GgufTokenizer ReadGgufTokenizer(const GgufFile& file);

// File name → content; `config` is ModelConfigFromGguf's. generation_config.json has the begin, end
// and padding tokens' ids; every end token of the config is an end there.
// Fails: kInvalidArgument naming the file and what TokenizerJsonFromGguf does not support, or that
// there are more tokens than the embedding has rows.
absl::StatusOr<std::map<std::string, std::string>> CompanionsFromGguf(const GgufFile& file,
                                                                      const ModelConfig& config);

}  // namespace routewright
