#include "policy/tokenizer/chat_template.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/file_system.h"
#include "common/status_macros.h"
#include "common/text.h"
#include "policy/tokenizer/chat_template_source.h"
#include "policy/tokenizer/jinja_strings.h"

namespace routewright {
namespace {

constexpr char kChatMlSystem[] = "<|im_start|>system\n";
constexpr char kChatMlAssistant[] = "<|im_start|>assistant\n";
constexpr char kChatMlEnd[] = "<|im_end|>";
constexpr char kLlamaBegin[] = "<|begin_of_text|>";
constexpr char kLlamaKnowledge[] = "Cutting Knowledge Date";
constexpr char kLlamaToday[] = "Today Date: ";
// What every published Llama 3 template falls back to without a clock.
constexpr char kLlamaDate[] = "26 Jul 2024";

bool HoldsText(const std::string& jinja, const char* text) {
  return absl::StrContains(jinja, text);
}

absl::Status Unknown(const ChatTemplateSource& source, const std::string& why) {
  return absl::InvalidArgumentError(absl::StrCat(
      source.origin, ": the chat template is none of the known ones (ChatML, Llama 3): ", why,
      "; set policy.chat_template: plain and write the turns into the prompt template, as the "
      "policy was trained with them: its special tokens around {question}, and at its end the text "
      "that begins the assistant's turn"));
}

std::string LlamaHeader(const char* role) {
  return absl::StrCat("<|start_header_id|>", role, "<|end_header_id|>\n\n");
}

// The family by its markers; UNSPECIFIED if it has none of them.
PolicyConfig::ChatTemplate FamilyOf(const std::string& jinja) {
  if (HoldsText(jinja, "<|start_header_id|>") && HoldsText(jinja, "<|eot_id|>")) {
    return PolicyConfig::CHAT_TEMPLATE_LLAMA3;
  }
  if (HoldsText(jinja, "<|im_start|>") && HoldsText(jinja, kChatMlEnd)) {
    return PolicyConfig::CHAT_TEMPLATE_CHATML;
  }
  return PolicyConfig::CHAT_TEMPLATE_UNSPECIFIED;
}

// What a template of the known families has beyond them; a reason to refuse it, or empty.
std::string Surplus(const std::string& jinja, PolicyConfig::ChatTemplate family) {
  if (family == PolicyConfig::CHAT_TEMPLATE_CHATML) {
    if (HoldsText(jinja, "strftime_now")) return "its system text holds the date";
    const std::vector<std::string> strings = JinjaStrings(jinja);
    std::vector<std::string> openings;
    for (const std::string& text : strings) {
      if (absl::StartsWith(text, kChatMlAssistant)) openings.push_back(text);
    }
    if (openings.empty()) return "no string of it begins the assistant's turn";
    if (std::set<std::string>(openings.begin(), openings.end()).size() > 1) {
      return "it begins the assistant's turn in more than one way";
    }
    // Qwen3's block is for those who ask for it; whether another template's is cannot be read out of its strings.
    const bool is_on_demand =
        HoldsText(jinja, "enable_thinking is defined and enable_thinking is false");
    const bool has_empty_block =
        std::any_of(strings.begin(), strings.end(),
                    [](const std::string& text) { return HoldsText(text, "<think>\n\n</think>"); });
    if (has_empty_block && !is_on_demand) return "it writes an empty think block";
    // A system text that stands in one string is its default; what is put together from pieces is not known here.
    const bool has_pieces = std::any_of(strings.begin(), strings.end(), [](const auto& text) {
      return absl::StartsWith(text, kChatMlSystem) && text != kChatMlSystem &&
             !HoldsText(text, kChatMlEnd);
    });
    if (has_pieces) return "its system text is put together from pieces";
  } else {
    const std::vector<std::string> strings = JinjaStrings(jinja);
    const std::string header = LlamaHeader("system");
    const bool has_own = std::any_of(strings.begin(), strings.end(), [&](const auto& text) {
      const size_t at = text.find(header);
      return at != std::string::npos && text.size() > at + header.size();
    });
    if (has_own) return "it has a system text of its own";
  }
  return "";
}

// The family of the folder's template; PLAIN if there is none.
absl::StatusOr<PolicyConfig::ChatTemplate> Recognise(const ChatTemplateSource& source) {
  if (source.jinja.empty()) return PolicyConfig::CHAT_TEMPLATE_PLAIN;
  const PolicyConfig::ChatTemplate family = FamilyOf(source.jinja);
  if (family == PolicyConfig::CHAT_TEMPLATE_UNSPECIFIED) {
    return Unknown(source, "it has the markers of neither");
  }
  const std::string surplus = Surplus(source.jinja, family);
  if (!surplus.empty()) return Unknown(source, surplus);
  return family;
}

// The two texts around the message.
struct Frame {
  std::string before;
  std::string after;
};

// `<|im_start|>system\n…<|im_end|>\n` as one string of the template is its default system text.
Frame ChatMl(const ChatTemplateSource& source) {
  std::string system;
  std::string assistant = kChatMlAssistant;
  for (const std::string& text : JinjaStrings(source.jinja)) {
    if (system.empty() && absl::StartsWith(text, kChatMlSystem) && HoldsText(text, kChatMlEnd)) {
      system = text;
    }
    // The last one is the generation prompt; some add "<think>\n" to it.
    if (absl::StartsWith(text, kChatMlAssistant)) assistant = text;
  }
  const std::string begin = source.writes_bos ? source.bos_token : "";
  return {absl::StrCat(begin, system, "<|im_start|>user\n"),
          absl::StrCat(kChatMlEnd, "\n", assistant)};
}

// The date in `date_string = "…"`, the last such assignment of a literal.
std::string FallbackDate(const std::string& jinja) {
  constexpr char kAssignment[] = "date_string = \"";
  const size_t found = jinja.rfind(kAssignment);
  if (found == std::string::npos) return kLlamaDate;
  const size_t begin = found + sizeof(kAssignment) - 1;
  const size_t end = jinja.find('"', begin);
  return end == std::string::npos ? kLlamaDate : jinja.substr(begin, end - begin);
}

Frame Llama3(const ChatTemplateSource& source) {
  std::string system;
  for (const std::string& text : JinjaStrings(source.jinja)) {
    if (!absl::StartsWith(text, kLlamaKnowledge)) continue;
    system = absl::StrCat(LlamaHeader("system"), text, kLlamaToday, FallbackDate(source.jinja),
                          "\n\n<|eot_id|>");
    break;
  }
  const std::string& bos = source.bos_token.empty() ? kLlamaBegin : source.bos_token;
  return {absl::StrCat(bos, system, LlamaHeader("user")),
          absl::StrCat("<|eot_id|>", LlamaHeader("assistant"))};
}

}  // namespace

absl::StatusOr<PolicyConfig::ChatTemplate> ResolveChatTemplate(
    PolicyConfig::ChatTemplate template_name, const std::string& policy_folder) {
  const bool is_named = template_name != PolicyConfig::CHAT_TEMPLATE_AUTO &&
                        template_name != PolicyConfig::CHAT_TEMPLATE_UNSPECIFIED;
  if (is_named) return template_name;
  RW_ASSIGN_OR_RETURN(const ChatTemplateSource source, ReadChatTemplateSource(policy_folder));
  return Recognise(source);
}

absl::StatusOr<ChatTemplate> ChatTemplate::Load(PolicyConfig::ChatTemplate template_name,
                                                const std::string& policy_folder) {
  RW_ASSIGN_OR_RETURN(const PolicyConfig::ChatTemplate family,
                      ResolveChatTemplate(template_name, policy_folder));
  ChatTemplate made;
  if (family == PolicyConfig::CHAT_TEMPLATE_PLAIN) return made;
  RW_ASSIGN_OR_RETURN(ChatTemplateSource source, ReadChatTemplateSource(policy_folder));
  if (!source.jinja.empty() && FamilyOf(source.jinja) != family) {
    return absl::InvalidArgumentError(absl::StrCat(
        source.origin,
        ": the policy's own chat template has not the markers of the one that "
        "policy.chat_template names; leave it at auto, or set plain and write the turns into the "
        "prompt template"));
  }
  Frame frame = family == PolicyConfig::CHAT_TEMPLATE_LLAMA3 ? Llama3(source) : ChatMl(source);
  made.before_ = std::move(frame.before);
  made.after_ = std::move(frame.after);
  made.strips_message_ = family == PolicyConfig::CHAT_TEMPLATE_LLAMA3;
  return made;
}

std::string ChatTemplate::Apply(std::string_view user_message) const {
  const std::string_view message = strips_message_ ? StripWhitespace(user_message) : user_message;
  std::string text = before_;
  text.append(message);
  return text + after_;
}

}  // namespace routewright
