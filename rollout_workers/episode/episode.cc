#include "rollout_workers/episode/episode.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/random.h"
#include "common/reward/reward.h"
#include "rollout_workers/episode/observation.h"
#include "rollout_workers/episode/router_protocol.h"

namespace routewright {
namespace {

constexpr int64_t kNoVersion = -1;

// The bytes that the policy wrote in a round; an end token ends it and is no text.
std::string WrittenText(const Tokenizer& tokenizer, const RoundResult& result) {
  std::span<const uint32_t> tokens(result.token_ids);
  if (result.stop_reason == StopReason::kEndToken) tokens = tokens.first(tokens.size() - 1);
  return tokenizer.Decode(tokens);
}

}  // namespace

Episode::Episode(const EpisodeContext* context, EpisodeSpec spec, int attempt)
    : context_(context), spec_(std::move(spec)) {
  RW_CHECK(spec_.forced_model().empty() || context_->models->Find(spec_.forced_model()) != nullptr)
      << "episode " << spec_.episode_id() << ": forced_model '" << spec_.forced_model()
      << "' is not listed";
  trajectory_.set_episode_id(spec_.episode_id());
  trajectory_.set_attempt(attempt);
  trajectory_.set_purpose(spec_.purpose());
  trajectory_.set_step(spec_.step());
  trajectory_.set_forced_model(spec_.forced_model());
  *trajectory_.mutable_question() = spec_.question();
}

EpisodeCommand Episode::Begin() {
  RW_CHECK(waiting_ == Waiting::kBegin) << spec_.episode_id();
  std::vector<uint32_t> tokens = context_->prompt->Tokens(spec_.question().question());
  const int num_tokens = static_cast<int>(tokens.size());
  if (num_tokens > context_->limits.max_prompt_tokens() || num_tokens >= room()) {
    return End(EPISODE_STATUS_OVERFLOW);
  }
  RecordGiven(tokens, PROVENANCE_PROMPT);
  return StartRound(std::move(tokens));
}

EpisodeCommand Episode::RoundFinished(const RoundResult& result) {
  RW_CHECK(waiting_ == Waiting::kRound && result.round == round_)
      << spec_.episode_id() << " round " << result.round;
  trajectory_.set_generate_ms(trajectory_.generate_ms() + result.generate_ms);
  RecordSampled(result);
  if (result.stop_reason == StopReason::kCancelled) return End(EPISODE_STATUS_CANCELLED);
  const Action& action = RecordAction(result);
  if (action.kind() == ACTION_KIND_ANSWER) return End(EPISODE_STATUS_ANSWERED);
  const bool is_cut_by_sequence = result.stop_reason == StopReason::kMaxTokens &&
                                  granted_tokens_ < context_->limits.max_round_tokens();
  if (is_cut_by_sequence) return End(EPISODE_STATUS_OVERFLOW);
  if (is_last_round()) return End(EPISODE_STATUS_NO_ANSWER);
  if (action.kind() == ACTION_KIND_SEARCH) return StartCall(action);
  return Observe(InvalidActionBody(action.invalid_reason()));
}

EpisodeCommand Episode::PoolCallFinished(PoolCall call) {
  RW_CHECK(waiting_ == Waiting::kPoolCall) << spec_.episode_id() << " call " << call.call_id();
  const CallOutcome outcome = call.outcome();
  std::string body = call.reply();
  if (outcome == CALL_OUTCOME_REFUSED) body = RefusedBody();
  if (outcome == CALL_OUTCOME_TOO_LONG) body = TooLongBody();
  if (outcome == CALL_OUTCOME_TRUNCATED) absl::StrAppend(&body, kTruncatedMark);
  trajectory_.set_pool_wait_ms(trajectory_.pool_wait_ms() + call.latency_ms());
  call.set_round(round_);
  *trajectory_.add_pool_calls() = std::move(call);

  if (outcome == CALL_OUTCOME_CANCELLED) return End(EPISODE_STATUS_CANCELLED);
  if (IsPoolFailure(outcome)) return End(EPISODE_STATUS_POOL_FAILED);
  return Observe(body);
}

Trajectory Episode::End(EpisodeStatus status) {
  RW_CHECK(waiting_ != Waiting::kNothing) << spec_.episode_id() << " has ended before";
  waiting_ = Waiting::kNothing;
  trajectory_.set_status(status);
  const RewardComponents components = StrictComponents(trajectory_);
  trajectory_.mutable_components()->set_cost_picousd(components.cost_picousd());
  trajectory_.mutable_components()->set_retried_cost_picousd(components.retried_cost_picousd());
  if (IsScored(status)) *trajectory_.mutable_components() = components;
  return std::move(trajectory_);
}

EpisodeCommand Episode::StartRound(std::vector<uint32_t> new_tokens) {
  waiting_ = Waiting::kRound;
  granted_tokens_ = std::min(context_->limits.max_round_tokens(), room());
  RW_CHECK(granted_tokens_ > 0) << spec_.episode_id();
  RoundRequest request;
  request.episode_id = spec_.episode_id();
  request.round = round_;
  request.stream_key =
      StreamKey(spec_.run_seed(), spec_.episode_id(), static_cast<uint64_t>(round_));
  request.temperature = spec_.temperature();
  request.max_new_tokens = granted_tokens_;
  request.new_token_ids = std::move(new_tokens);
  request.stop_strings = RoundStopStrings();
  const auto trial = spec_.trial_models().find(round_);
  if (trial != spec_.trial_models().end() && !is_last_round()) {
    request.guided_text = {.after = kOpenSearch, .text = absl::StrCat(trial->second, ":")};
  }
  return request;
}

EpisodeCommand Episode::StartCall(const Action& action) {
  const auto empty_observation = ObservationTokens(*context_->tokenizer, "", 1);
  if (static_cast<int>(empty_observation.size()) >= room()) return End(EPISODE_STATUS_OVERFLOW);
  waiting_ = Waiting::kPoolCall;
  PoolRequest request;
  request.call_id = absl::StrCat(spec_.episode_id(), "/", trajectory_.attempt(), "/", round_);
  request.episode_id = spec_.episode_id();
  request.round = round_;
  request.model = CallTarget(action);
  request.prompt = context_->prompt->PoolMessage(action.query());
  return request;
}

std::string Episode::CallTarget(const Action& action) const {
  if (!spec_.forced_model().empty()) return *context_->models->Find(spec_.forced_model());
  if (!spec_.random_model()) return action.model();
  const std::vector<std::string>& names = context_->models->names();
  const std::string stream = absl::StrCat(spec_.episode_id(), "/random_model");
  const uint64_t key = StreamKey(spec_.run_seed(), stream, static_cast<uint64_t>(round_));
  return names[RandomBits(key, /*counter=*/0) % names.size()];
}

EpisodeCommand Episode::Observe(const std::string& body) {
  std::vector<uint32_t> tokens =
      ObservationTokens(*context_->tokenizer, body, context_->limits.max_observation_tokens());
  if (static_cast<int>(tokens.size()) >= room()) return End(EPISODE_STATUS_OVERFLOW);
  RecordGiven(tokens, PROVENANCE_OBSERVATION);
  ++round_;
  return StartRound(std::move(tokens));
}

void Episode::RecordGiven(const std::vector<uint32_t>& tokens, Provenance provenance) {
  for (uint32_t token : tokens) {
    trajectory_.add_token_ids(token);
    trajectory_.add_provenance(provenance);
    trajectory_.add_logprobs(0);
    trajectory_.add_policy_versions(kNoVersion);
  }
}

void Episode::RecordSampled(const RoundResult& result) {
  const size_t num_tokens = result.token_ids.size();
  RW_CHECK(num_tokens == result.logprobs.size() && num_tokens == result.policy_versions.size() &&
           num_tokens <= static_cast<size_t>(granted_tokens_))
      << spec_.episode_id() << " round " << round_ << ": " << num_tokens << " tokens";
  for (size_t i = 0; i < num_tokens; ++i) {
    trajectory_.add_token_ids(result.token_ids[i]);
    trajectory_.add_provenance(PROVENANCE_POLICY);
    trajectory_.add_logprobs(result.logprobs[i]);
    trajectory_.add_policy_versions(result.policy_versions[i]);
  }
}

const Action& Episode::RecordAction(const RoundResult& result) {
  Action& action = *trajectory_.add_actions();
  const std::string text = WrittenText(*context_->tokenizer, result);
  action = ParseRound(text, *context_->models, is_last_round(),
                      round_ == 0 ? context_->prompt->opened_tag() : std::string());
  action.set_round(round_);
  action.set_end_token(trajectory_.token_ids_size());
  action.set_first_token(action.end_token() - static_cast<int>(result.token_ids.size()));
  const bool is_search = action.kind() == ACTION_KIND_SEARCH;
  const ByteRange named = is_search ? NamedModelBytes(text) : ByteRange(0, 0);
  ByteRange guided = {0, 0};
  if (result.is_guided) guided = FirstNameBytes(text, spec_.trial_models().at(round_));
  // A round that is cut off or wrong after its trial's name stays a trial. One that goes on to search with another name, or
  // elsewhere, is what the policy chose.
  action.set_is_trial(guided.first < guided.second && (!is_search || guided == named));
  if (is_search || action.is_trial()) {
    RecordModelTokens(result, action.is_trial() ? guided : named, action);
  }
  if (action.kind() == ACTION_KIND_INVALID)
    trajectory_.set_invalid_actions(trajectory_.invalid_actions() + 1);
  return action;
}

// Which tokens of the round name the model: those with bytes of the name, where borders lie as they lie.
void Episode::RecordModelTokens(const RoundResult& result, const ByteRange& name,
                                Action& action) const {
  const auto [begin, end] = name;
  size_t at = 0;
  int first = 0, after = 0;
  for (size_t i = 0; i < result.token_ids.size() && at < end; ++i) {
    const size_t next = at + context_->tokenizer->TokenBytes(result.token_ids[i]).size();
    if (next > begin && after == 0) first = static_cast<int>(i);
    if (next > begin) after = static_cast<int>(i) + 1;
    at = next;
  }
  action.set_model_first_token(action.first_token() + first);
  action.set_model_end_token(action.first_token() + after);
}

}  // namespace routewright
