#include "rollout_workers/episode/prompt.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/check.h"
#include "common/file_system.h"
#include "common/status_macros.h"
#include "common/text.h"
#include "rollout_workers/episode/router_protocol.h"

namespace routewright {
namespace {

// Stands in a template's text where {question} or {query} was, until the text is split there.
constexpr char kMarker[] = "\x01the data\x01";
constexpr char kQuestion[] = "question";
constexpr char kQuery[] = "query";

using Values = std::map<std::string, std::string>;

bool IsPlaceholderName(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(),
                                      [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
}

// Replaces every {name} by its value, in one pass: what a value holds is not
// expanded. Other braces stay.
absl::StatusOr<std::string> Fill(const std::string& text, const Values& values,
                                 const std::string& what) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text[at] == '{' ? text.find('}', at) : std::string::npos;
    const std::string name = end == std::string::npos ? "" : text.substr(at + 1, end - at - 1);
    if (!IsPlaceholderName(name)) {
      out.push_back(text[at++]);
      continue;
    }
    const auto value = values.find(name);
    if (value == values.end()) {
      std::string known;
      for (const auto& entry : values)
        absl::StrAppend(&known, known.empty() ? "{" : ", {", entry.first, "}");
      return absl::InvalidArgumentError(absl::StrCat(what, ": there is no placeholder {", name,
                                                     "}; those that exist are ", known));
    }
    out += value->second;
    at = end + 1;
  }
  return out;
}

// The text before and after the one marker.
absl::StatusOr<std::pair<std::string, std::string>> SplitAtMarker(const std::string& text,
                                                                  const std::string& what,
                                                                  const std::string& placeholder) {
  const std::string marker = kMarker;
  const size_t at = text.find(marker);
  if (at == std::string::npos || text.find(marker, at + 1) != std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, " must hold {", placeholder, "} exactly once"));
  }
  return std::make_pair(text.substr(0, at), text.substr(at + marker.size()));
}

absl::StatusOr<std::string> ModelLines(const std::string& model_line, const PoolConfig& pool) {
  std::string lines;
  for (const PoolModelConfig& model : pool.models()) {
    RW_ASSIGN_OR_RETURN(const std::string line, Fill(model_line,
                                                     {{"name", model.name()},
                                                      {"description", model.description()},
                                                      {"price", FormatPrice(model.output_price())}},
                                                     "prompt.model_line"));
    absl::StrAppend(&lines, lines.empty() ? "" : "\n", line);
  }
  return lines;
}

}  // namespace

absl::StatusOr<PromptTemplates> LoadPromptTemplates(const PromptConfig& config) {
  PromptTemplates templates;
  templates.model_line = config.model_line();
  RW_ASSIGN_OR_RETURN(templates.prompt, FileSystem::Posix().Read(config.template_path()));
  templates.pool = absl::StrCat("{", kQuery, "}");
  if (!config.pool_template_path().empty()) {
    RW_ASSIGN_OR_RETURN(templates.pool, FileSystem::Posix().Read(config.pool_template_path()));
  }
  return templates;
}

absl::StatusOr<Prompt> Prompt::Build(const PromptTemplates& templates, int max_rounds,
                                     const PoolConfig& pool, const ChatForm& chat_form,
                                     const Tokenizer* tokenizer) {
  RW_CHECK(tokenizer != nullptr);
  Prompt prompt;
  prompt.tokenizer_ = tokenizer;
  const std::string what = "the prompt template (prompt.template_path)";
  RW_ASSIGN_OR_RETURN(const std::string models, ModelLines(templates.model_line, pool));
  RW_ASSIGN_OR_RETURN(
      const std::string message,
      Fill(templates.prompt,
           {{kQuestion, kMarker}, {"models", models}, {"max_rounds", absl::StrCat(max_rounds)}},
           what));
  RW_ASSIGN_OR_RETURN(auto parts, SplitAtMarker(chat_form(message), what, kQuestion));
  std::tie(prompt.before_question_, prompt.after_question_) = std::move(parts);

  prompt.opened_tag_ = OpenedTag(prompt.after_question_);

  const std::string pool_what = "the pool's template (prompt.pool_template_path)";
  RW_ASSIGN_OR_RETURN(const std::string pool_message,
                      Fill(templates.pool, {{kQuery, kMarker}}, pool_what));
  RW_ASSIGN_OR_RETURN(auto pool_parts, SplitAtMarker(pool_message, pool_what, kQuery));
  std::tie(prompt.before_query_, prompt.after_query_) = std::move(pool_parts);
  return prompt;
}

std::vector<uint32_t> Prompt::Tokens(std::string_view question) const {
  question = StripWhitespace(question);
  const auto num_special = [this](const std::vector<uint32_t>& tokens) {
    return std::count_if(tokens.begin(), tokens.end(),
                         [this](uint32_t id) { return tokenizer_->IsSpecial(id); });
  };
  const std::vector<uint32_t> plain = tokenizer_->EncodePlain(question);
  std::vector<uint32_t> pieces = tokenizer_->Encode(before_question_);
  pieces.insert(pieces.end(), plain.begin(), plain.end());
  const std::vector<uint32_t> after = tokenizer_->Encode(after_question_);
  pieces.insert(pieces.end(), after.begin(), after.end());

  std::vector<uint32_t> whole =
      tokenizer_->Encode(absl::StrCat(before_question_, std::string(question), after_question_));
  // The second condition: no special token across a border either.
  const bool is_harmless =
      tokenizer_->Encode(question) == plain && num_special(whole) == num_special(pieces);
  return is_harmless ? whole : pieces;
}

std::string Prompt::PoolMessage(std::string_view query) const {
  return absl::StrCat(before_query_, std::string(query), after_query_);
}

std::string FormatPrice(int64_t microusd) {
  std::string text = absl::StrFormat("%d.%06d", microusd / 1000000, microusd % 1000000);
  while (text.back() == '0' && text[text.size() - 3] != '.') text.pop_back();
  return text;
}

}  // namespace routewright
