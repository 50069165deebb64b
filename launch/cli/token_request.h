// The JSON line that `generate` and `logprob` read.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "policy/model/model_config.h"

namespace routewright {

struct TokenRequest {
  std::vector<uint32_t> ids;  // not empty, each below V, at most max_positions
  int max_tokens = 128;
  double temperature = 1;
  uint64_t seed = 0;
};

// {"ids": […]} and, with_sampling, "max_tokens", "temperature" and "seed". Fails: kInvalidArgument
// saying what is wrong with which key; a key that is not known is wrong.
absl::StatusOr<TokenRequest> ParseTokenRequest(const std::string& line, const ModelConfig& config,
                                               bool with_sampling);

}  // namespace routewright
