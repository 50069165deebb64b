#include "policy/tokenizer/json_access.h"

#include <nlohmann/json.hpp>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace routewright {

const nlohmann::json& JsonMember(const nlohmann::json& object, const char* key) {
  static const nlohmann::json* const null = new nlohmann::json;
  if (!object.is_object()) return *null;
  const auto found = object.find(key);
  return found == object.end() ? *null : *found;
}

absl::StatusOr<bool> JsonBool(const nlohmann::json& object, const char* key, bool fallback) {
  const nlohmann::json& value = JsonMember(object, key);
  if (value.is_null()) return fallback;
  if (value.is_boolean()) return value.get<bool>();
  return absl::InvalidArgumentError(absl::StrCat("'", key, "' must be true or false"));
}

absl::StatusOr<std::string> JsonString(const nlohmann::json& object, const char* key) {
  const nlohmann::json& value = JsonMember(object, key);
  if (value.is_string()) return value.get<std::string>();
  return absl::InvalidArgumentError(absl::StrCat("'", key, "' must be a string"));
}

}  // namespace routewright
