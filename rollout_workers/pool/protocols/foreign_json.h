// JSON that a server of others wrote: read without trust. Nothing here fails; what is not there, or of another type, is
// missing. Pure; any thread.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace routewright {

// Text that is no JSON becomes a discarded value, which has no members. Deep values are dropped as
// they are read, so that a megabyte of '[' costs nothing.
nlohmann::json ParseForeign(std::string_view text);

// The member of an object; nullptr for everything else.
const nlohmann::json* Member(const nlohmann::json& json, const char* name);
std::string StringMember(const nlohmann::json& json, const char* name);
// An integer that fits int64_t; unsigned ones beyond it become negative, which no caller accepts.
std::optional<int64_t> IntegerMember(const nlohmann::json& json, const char* name);

// The sentence of an error in one of the forms that servers use, {"error":{"message":…}},
// {"error":"…"}, {"message":…}, {"detail":"…"}: at most 300 bytes, ending with a character; control
// characters become spaces. Empty: none.
std::string ErrorSentence(const nlohmann::json& json);

}  // namespace routewright
