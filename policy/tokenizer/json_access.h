// Reading values out of JSON that others wrote, with errors that name the key. Pure; any thread.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace routewright {

// object[key]; null if `object` is no object or has no such key.
const nlohmann::json& JsonMember(const nlohmann::json& object, const char* key);

// object[key] as a bool; `fallback` if the key is missing or null.
// Fails: kInvalidArgument naming the key if it is something else.
absl::StatusOr<bool> JsonBool(const nlohmann::json& object, const char* key, bool fallback);

// object[key] as a string. Fails: kInvalidArgument naming the key if it is missing or no string.
absl::StatusOr<std::string> JsonString(const nlohmann::json& object, const char* key);

}  // namespace routewright
