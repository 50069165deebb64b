#include "rollout_workers/episode/observation.h"

#include "common/check.h"
#include "common/text.h"

namespace routewright {
namespace {

constexpr char kOpen[] = "\n\n<information>";
constexpr char kClose[] = "</information>\n\n";
constexpr size_t kMaxBytesPerToken =
    256;  // longer ones are rare, and then cut an endless body a little shorter
constexpr std::string_view kTagNames[] = {"think", "search", "information", "answer"};

bool BeginsWithIgnoringCase(std::string_view text, std::string_view lower_prefix) {
  return text.size() >= lower_prefix.size() &&
         LowerCase(text.substr(0, lower_prefix.size())) == lower_prefix;
}

std::string_view SkipSpace(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\n\v\f\r");
  return begin == std::string_view::npos ? std::string_view() : text.substr(begin);
}

// What follows `<` is a tag of ours, near enough for somebody to read it as one: where its name, or
// its slash, begins. Empty if it is none.
std::string_view TagRest(std::string_view after_bracket) {
  const std::string_view rest = SkipSpace(after_bracket);
  std::string_view name = rest;
  if (!name.empty() && name.front() == '/') name = SkipSpace(name.substr(1));
  for (std::string_view tag_name : kTagNames) {
    if (BeginsWithIgnoringCase(name, tag_name)) return rest;
  }
  return {};
}

void Append(std::vector<uint32_t>& out, const std::vector<uint32_t>& tokens) {
  out.insert(out.end(), tokens.begin(), tokens.end());
}

}  // namespace

std::string NeutraliseTags(std::string_view reply) {
  std::string out;
  out.reserve(reply.size());
  for (size_t at = 0; at < reply.size();) {
    out.push_back(reply[at]);
    const std::string_view after = reply.substr(++at);
    if (out.back() != '<') continue;
    if (const std::string_view rest = TagRest(after); !rest.empty()) {
      out.push_back(' ');
      at = reply.size() - rest.size();
    }
  }
  return out;
}

std::vector<uint32_t> ObservationTokens(const Tokenizer& tokenizer, std::string_view body,
                                        int max_body_tokens) {
  RW_CHECK(max_body_tokens > 0) << "max_body_tokens=" << max_body_tokens;
  const size_t limit = static_cast<size_t>(max_body_tokens);
  const bool is_endless = body.size() / kMaxBytesPerToken > limit;  // not worth tokenizing whole
  if (is_endless) body = body.substr(0, limit * kMaxBytesPerToken);
  std::vector<uint32_t> body_tokens = tokenizer.EncodePlain(NeutraliseTags(body));
  if (is_endless || body_tokens.size() > limit) {
    std::vector<uint32_t> mark = tokenizer.EncodePlain(kTruncatedMark);
    mark.resize(std::min(mark.size(), limit));
    body_tokens.resize(std::min(body_tokens.size(), limit - mark.size()));
    Append(body_tokens, mark);
  }
  std::vector<uint32_t> tokens = tokenizer.Encode(kOpen);
  Append(tokens, body_tokens);
  Append(tokens, tokenizer.Encode(kClose));
  return tokens;
}

std::string InvalidActionBody(InvalidReason reason) {
  switch (reason) {
    case INVALID_REASON_UNKNOWN_MODEL:
      return "Invalid call: no model of that name is listed.";
    case INVALID_REASON_EMPTY_QUERY:
      return "Invalid call: the question after the colon is missing.";
    case INVALID_REASON_PLACEHOLDER:
      return "Invalid call: write a listed model's name and a question of your own.";
    case INVALID_REASON_NO_COLON:
      return "Invalid call: write a model's name, a colon and a question.";
    case INVALID_REASON_NO_TAGS:
      return "Invalid round: it must end with a search or an answer.";
    default:
      RW_CHECK(false) << "no observation follows invalid reason " << reason;
      return "";
  }
}

std::string TooLongBody() { return "The question is too long for this model; ask a shorter one."; }

std::string RefusedBody() { return "The model refused to reply."; }

}  // namespace routewright
