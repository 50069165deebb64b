#include "policy/tokenizer/chat_template_source.h"

#include <nlohmann/json.hpp>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/file_system.h"
#include "common/status_macros.h"
#include "policy/tokenizer/json_access.h"

namespace routewright {
namespace {

using nlohmann::json;

// A token is written as its text, or as an object with its content.
std::string TokenText(const json& token) {
  const json& text = token.is_object() ? JsonMember(token, "content") : token;
  return text.is_string() ? text.get<std::string>() : "";
}

absl::StatusOr<std::string> TemplateText(const json& value, const std::string& path) {
  if (value.is_null()) return std::string();
  if (value.is_string()) return value.get<std::string>();
  if (value.is_array()) {
    for (const json& entry : value) {
      const json& text = JsonMember(entry, "template");
      if (JsonMember(entry, "name") == "default" && text.is_string())
        return text.get<std::string>();
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": chat_template must be a string or a list with a \"default\" template"));
}

// Whether the template's first block writes the begin token.
bool BeginsWithBos(absl::string_view jinja) {
  jinja = absl::StripLeadingAsciiWhitespace(jinja);
  if (!absl::ConsumePrefix(&jinja, "{{")) return false;
  absl::ConsumePrefix(&jinja, "-");
  return absl::StartsWith(absl::StripLeadingAsciiWhitespace(jinja), "bos_token");
}

}  // namespace

absl::StatusOr<ChatTemplateSource> ReadChatTemplateSource(const std::string& policy_folder) {
  FileSystem& files = FileSystem::Posix();
  const std::string config_path = policy_folder + "/tokenizer_config.json";
  const std::string jinja_path = policy_folder + "/chat_template.jinja";
  ChatTemplateSource source;
  if (files.Exists(config_path)) {
    RW_ASSIGN_OR_RETURN(const std::string text, files.Read(config_path));
    const json config = json::parse(text, /*cb=*/nullptr, /*allow_exceptions=*/false);
    if (!config.is_object()) {
      return absl::InvalidArgumentError(
          absl::StrCat(config_path, ": it is not a JSON object, or is cut short"));
    }
    RW_ASSIGN_OR_RETURN(source.jinja,
                        TemplateText(JsonMember(config, "chat_template"), config_path));
    source.bos_token = TokenText(JsonMember(config, "bos_token"));
    source.origin = config_path;
  }
  if (files.Exists(jinja_path)) {
    RW_ASSIGN_OR_RETURN(source.jinja, files.Read(jinja_path));
    source.origin = jinja_path;
  }
  source.writes_bos = BeginsWithBos(source.jinja);
  return source;
}

}  // namespace routewright
