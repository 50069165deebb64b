#include "rollout_workers/pool/protocols/foreign_json.h"

#include <nlohmann/json.hpp>

namespace routewright {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxErrorBytes = 300;
constexpr int kMaxDepth = 32;

// At most kMaxErrorBytes, at the end of a character; control characters become spaces.
std::string Printable(std::string_view text) {
  std::string clean;
  for (const char c : text) {
    const unsigned char byte = static_cast<unsigned char>(c);
    const bool begins_character = (byte & 0xC0) != 0x80;
    if (clean.size() >= kMaxErrorBytes && begins_character) return clean + "...";
    clean += byte < 0x20 || byte == 0x7F ? ' ' : c;
  }
  return clean;
}

}  // namespace

Json ParseForeign(std::string_view text) {
  const auto is_shallow = [](int depth, Json::parse_event_t, Json&) { return depth <= kMaxDepth; };
  return Json::parse(text, is_shallow, /*allow_exceptions=*/false);
}

const Json* Member(const Json& json, const char* name) {
  if (!json.is_object()) return nullptr;
  const auto found = json.find(name);
  return found == json.end() ? nullptr : &*found;
}

std::string StringMember(const Json& json, const char* name) {
  const Json* member = Member(json, name);
  return member != nullptr && member->is_string() ? member->get<std::string>() : "";
}

std::optional<int64_t> IntegerMember(const Json& json, const char* name) {
  const Json* member = Member(json, name);
  if (member == nullptr || !member->is_number_integer()) return std::nullopt;
  return member->get<int64_t>();
}

std::string ErrorSentence(const Json& json) {
  if (const Json* error = Member(json, "error")) {
    if (error->is_string()) return Printable(error->get<std::string>());
    if (std::string message = StringMember(*error, "message"); !message.empty())
      return Printable(message);
  }
  const std::string message = StringMember(json, "message");
  return Printable(message.empty() ? StringMember(json, "detail") : message);
}

}  // namespace routewright
