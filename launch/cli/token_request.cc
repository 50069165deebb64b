#include "launch/cli/token_request.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace routewright {
namespace {

using Json = nlohmann::json;

absl::Status ReadIds(const Json& value, const ModelConfig& config, std::vector<uint32_t>* ids) {
  if (!value.is_array() || value.empty()) {
    return absl::InvalidArgumentError("'ids' must be a list of at least one token id");
  }
  for (const Json& id : value) {
    if (!id.is_number_unsigned() ||
        id.get<uint64_t>() >= static_cast<uint64_t>(config.vocabulary_size)) {
      return absl::InvalidArgumentError(absl::StrCat("'ids' holds ", id.dump(),
                                                     ", token ids are integers from 0 to ",
                                                     config.vocabulary_size - 1));
    }
    ids->push_back(id.get<uint32_t>());
  }
  if (static_cast<int64_t>(ids->size()) > config.max_positions) {
    return absl::InvalidArgumentError(absl::StrCat("'ids' holds ", ids->size(),
                                                   " tokens, the policy has ", config.max_positions,
                                                   " positions"));
  }
  return absl::OkStatus();
}

absl::Status ReadSampling(const std::string& key, const Json& value, TokenRequest* request) {
  if (key == "max_tokens") {
    if (!value.is_number_unsigned() || value.get<uint64_t>() == 0 ||
        value.get<uint64_t>() > std::numeric_limits<int>::max()) {
      return absl::InvalidArgumentError("'max_tokens' must be a positive integer");
    }
    request->max_tokens = value.get<int>();
  } else if (key == "temperature") {
    if (!value.is_number() || !(value.get<double>() >= 0)) {
      return absl::InvalidArgumentError("'temperature' must be a number, 0 (greedy) or above");
    }
    request->temperature = value.get<double>();
  } else if (key == "seed") {
    if (!value.is_number_unsigned()) {
      return absl::InvalidArgumentError("'seed' must be an integer, 0 or above");
    }
    request->seed = value.get<uint64_t>();
  } else {
    return absl::InvalidArgumentError(absl::StrCat(
        "the key '", key, "' is not known (ids, max_tokens, temperature and seed are)"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TokenRequest> ParseTokenRequest(const std::string& line, const ModelConfig& config,
                                               bool with_sampling) {
  const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object())
    return absl::InvalidArgumentError("not a JSON object like {\"ids\": [1, 2]}");
  if (!json.contains("ids")) return absl::InvalidArgumentError("the key 'ids' is missing");
  TokenRequest request;
  for (const auto& [key, value] : json.items()) {
    if (key == "ids") {
      RW_RETURN_IF_ERROR(ReadIds(value, config, &request.ids));
    } else if (with_sampling) {
      RW_RETURN_IF_ERROR(ReadSampling(key, value, &request));
    } else {
      return absl::InvalidArgumentError(absl::StrCat("the key '", key, "' is not known (ids is)"));
    }
  }
  return request;
}

}  // namespace routewright
