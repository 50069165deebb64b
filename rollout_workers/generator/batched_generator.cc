#include "rollout_workers/generator/batched_generator.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/status_macros.h"
#include "policy/decoder/decoder.h"
#include "policy/decoder/sampler.h"
#include "policy/tokenizer/tokenizer.h"
#include "rollout_workers/generator/stop_detector.h"
#include "rollout_workers/generator/text_guide.h"

namespace routewright {
namespace {

using SteadyClock = std::chrono::steady_clock;

// A prefix shorter than this is run again rather than waited for.
constexpr int64_t kMinSharedTokens = 32;

struct Round {
  RoundRequest request;  // new_token_ids moved into the episode's tokens
  RoundResult result;
  StopDetector stop;
  TextGuide guide;
  int64_t max_new_tokens;
  SteadyClock::time_point start;
};

struct RunningEpisode {
  std::string id;
  // Every token so far; the cache holds the first cache->num_tokens() of them.
  std::vector<uint32_t> tokens;
  std::unique_ptr<KvCache> cache;
  std::optional<Round> round;

  int64_t num_tokens() const { return static_cast<int64_t>(tokens.size()); }
  int64_t num_pending() const { return num_tokens() - cache->num_tokens(); }
};

// One row of a step.
struct Work {
  RunningEpisode* episode;
  int64_t num_tokens;
  bool samples;  // the row reaches the episode's last token
  SampledToken sampled = {};
};

class BatchedGenerator final : public Generator {
 public:
  BatchedGenerator(std::unique_ptr<Decoder> decoder, const Tokenizer* tokenizer,
                   const WorkerConfig& config, int64_t policy_version)
      : tokenizer_(tokenizer),
        chunk_tokens_(config.prefill_chunk_tokens()),
        decoder_(std::move(decoder)),
        policy_version_(policy_version) {}

  absl::Status StartRound(RoundRequest request) override;
  absl::StatusOr<std::vector<RoundResult>> Step() override;
  bool is_idle() const override { return running_.empty(); }
  void EndEpisode(const std::string& episode_id) override;
  absl::Status SetWeights(std::shared_ptr<const PolicyWeights> weights,
                          int64_t policy_version) override;
  int64_t policy_version() const override { return policy_version_; }

 private:
  absl::StatusOr<int64_t> NewTokenLimit(const RoundRequest& request, int64_t num_known) const;
  bool SharePrefix(RunningEpisode& episode);
  std::vector<Work> Schedule();
  absl::Status Sample(std::vector<Work>& batch);
  // What a guided round may go on with; empty: anything. Valid as long as the generator.
  std::span<const uint32_t> AllowedTokens(const TextGuide& guide);
  bool Record(RunningEpisode& episode, const SampledToken& sampled);

  // Constant after construction.
  const Tokenizer* const tokenizer_;
  const int64_t chunk_tokens_;

  const std::unique_ptr<Decoder> decoder_;
  int64_t policy_version_;
  std::map<std::string, RunningEpisode> episodes_;
  std::vector<RunningEpisode*> running_;  // those with a round, in the order of their StartRound
  // TokensThatSpell by their arguments: the texts are few.
  std::map<std::pair<std::string, bool>, std::vector<uint32_t>> spellings_;
};

// Whether the round's bytes now contain a stop string.
bool AppendBytes(Round& round, std::string_view bytes) {
  round.guide.Append(bytes);
  round.result.is_guided = round.guide.is_done();
  return round.stop.Append(bytes);
}

int64_t CommonPrefix(const std::vector<uint32_t>& a, const std::vector<uint32_t>& b) {
  return std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin();
}

// How many tokens the round may sample: as it asks, or as many as the policy has positions for.
absl::StatusOr<int64_t> BatchedGenerator::NewTokenLimit(const RoundRequest& request,
                                                        int64_t num_known) const {
  const ModelConfig& config = decoder_->config();
  const int64_t num_tokens = num_known + static_cast<int64_t>(request.new_token_ids.size());
  if (num_tokens == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("episode ", request.episode_id, ": there is no token to go on from"));
  }
  for (uint32_t id : request.new_token_ids) {
    if (id < config.vocabulary_size) continue;
    return absl::InvalidArgumentError(absl::StrCat("episode ", request.episode_id, ": token id ",
                                                   id, " is outside the policy's vocabulary of ",
                                                   config.vocabulary_size));
  }
  if (num_tokens >= config.max_positions) {
    return absl::OutOfRangeError(absl::StrCat("episode ", request.episode_id, ": a sequence of ",
                                              num_tokens, " tokens leaves no room in the policy's ",
                                              config.max_positions, " positions"));
  }
  return std::min<int64_t>(request.max_new_tokens, config.max_positions - num_tokens);
}

absl::Status BatchedGenerator::StartRound(RoundRequest request) {
  RW_CHECK(request.max_new_tokens > 0 && request.temperature >= 0) << request.episode_id;
  RW_CHECK((request.stop_strings.empty() && request.guided_text.text.empty()) ||
           tokenizer_ != nullptr)
      << "stop strings or guided text without a tokenizer";
  const auto known = episodes_.find(request.episode_id);
  RW_CHECK(known == episodes_.end() || !known->second.round)
      << request.episode_id << " already runs a round";
  const int64_t num_known = known == episodes_.end() ? 0 : known->second.num_tokens();
  RW_ASSIGN_OR_RETURN(const int64_t max_new_tokens, NewTokenLimit(request, num_known));
  RunningEpisode& episode = episodes_[request.episode_id];
  if (episode.cache == nullptr) {
    episode.id = request.episode_id;
    episode.cache = decoder_->NewCache();
  }
  episode.tokens.insert(episode.tokens.end(), request.new_token_ids.begin(),
                        request.new_token_ids.end());
  RoundResult result;
  result.episode_id = request.episode_id;
  result.round = request.round;
  StopDetector stop(std::move(request.stop_strings));
  TextGuide guide(std::move(request.guided_text));
  episode.round.emplace(Round{std::move(request), std::move(result), std::move(stop),
                              std::move(guide), max_new_tokens, SteadyClock::now()});
  running_.push_back(&episode);
  return absl::OkStatus();
}

// Gives an episode with an empty cache what it has in common with another one's. False: another
// running episode is just computing it, wait for that. Only episodes that have begun or stand
// earlier in the queue are waited for, so the first one never waits.
bool BatchedGenerator::SharePrefix(RunningEpisode& episode) {
  const int64_t most = episode.num_tokens() - 1;  // the last token is run for its logits
  RunningEpisode* donor = nullptr;
  int64_t ready = kMinSharedTokens - 1;
  for (auto& [id, other] : episodes_) {
    if (&other == &episode) continue;
    const int64_t common = std::min(CommonPrefix(episode.tokens, other.tokens), most);
    if (std::min(common, other.cache->num_tokens()) > ready) {
      donor = &other;
      ready = std::min(common, other.cache->num_tokens());
    }
  }
  for (RunningEpisode* other : running_) {
    if (other == &episode) break;
    const int64_t common = std::min(CommonPrefix(episode.tokens, other->tokens), most);
    if (common > ready && common > other->cache->num_tokens()) return false;
  }
  if (donor != nullptr) episode.cache = decoder_->ForkCache(*donor->cache, ready);
  return true;
}

// The rows of the next step: every round's newest token, and up to chunk_tokens_ tokens of prompts,
// first come first served.
std::vector<Work> BatchedGenerator::Schedule() {
  std::vector<Work> batch;
  int64_t budget = chunk_tokens_;
  for (RunningEpisode* episode : running_) {
    if (episode->num_pending() == 1) {
      batch.push_back({episode, 1, true});
      continue;
    }
    if (budget == 0 || (episode->cache->num_tokens() == 0 && !SharePrefix(*episode))) continue;
    const int64_t count = std::min(budget, episode->num_pending());
    budget -= count;
    batch.push_back({episode, count, count == episode->num_pending()});
  }
  return batch;
}

// Runs the batch and draws a token for each row that samples.
absl::Status BatchedGenerator::Sample(std::vector<Work>& batch) {
  std::vector<SampleRow> rows;
  for (const Work& work : batch) {
    const RunningEpisode& episode = *work.episode;
    SampleRow& row = rows.emplace_back();
    row.cache = episode.cache.get();
    row.token_ids = std::span(episode.tokens).subspan(episode.cache->num_tokens(), work.num_tokens);
    if (!work.samples) continue;
    row.draw = {.temperature = episode.round->request.temperature,
                .key = episode.round->request.stream_key,
                .counter = episode.round->result.token_ids.size(),
                .allowed = AllowedTokens(episode.round->guide)};
  }
  RW_ASSIGN_OR_RETURN(const std::vector<SampledToken> sampled, decoder_->Sample(rows));
  for (size_t i = 0; i < batch.size(); ++i) batch[i].sampled = sampled[i];
  for (const Work& work : batch) {
    if (!work.samples || std::isfinite(work.sampled.logprob)) continue;
    return absl::InternalError(absl::StrCat("policy version ", policy_version_,
                                            " gives logits that are not finite (", "episode ",
                                            work.episode->id, "): its weights have diverged"));
  }
  return absl::OkStatus();
}

std::span<const uint32_t> BatchedGenerator::AllowedTokens(const TextGuide& guide) {
  if (guide.due().empty()) return {};
  const std::pair<std::string, bool> text(guide.due(), guide.may_be_spaced());
  const auto [spelling, is_new] = spellings_.try_emplace(text);
  if (is_new) spelling->second = TokensThatSpell(*tokenizer_, text.first, text.second);
  return spelling->second;
}

// Adds the token to its round; true if it is the round's last.
bool BatchedGenerator::Record(RunningEpisode& episode, const SampledToken& sampled) {
  Round& round = *episode.round;
  RoundResult& result = round.result;
  result.token_ids.push_back(sampled.token_id);
  result.logprobs.push_back(sampled.logprob);
  result.policy_versions.push_back(policy_version_);
  const std::chrono::duration<double, std::milli> elapsed = SteadyClock::now() - round.start;
  if (result.token_ids.size() == 1) result.first_token_ms = elapsed.count();
  episode.tokens.push_back(sampled.token_id);
  const std::vector<uint32_t>& ends = decoder_->config().end_token_ids;
  // A policy's vocabulary may be padded past its tokenizer's: such a token has no bytes.
  const bool has_bytes = tokenizer_ != nullptr && sampled.token_id < tokenizer_->vocabulary_size();
  if (std::find(ends.begin(), ends.end(), sampled.token_id) != ends.end()) {
    result.stop_reason = StopReason::kEndToken;
  } else if (has_bytes && AppendBytes(round, tokenizer_->TokenBytes(sampled.token_id))) {
    result.stop_reason = StopReason::kStopString;
  } else if (static_cast<int64_t>(result.token_ids.size()) >= round.max_new_tokens) {
    result.stop_reason = StopReason::kMaxTokens;
  } else {
    return false;
  }
  result.generate_ms = elapsed.count();
  return true;
}

absl::StatusOr<std::vector<RoundResult>> BatchedGenerator::Step() {
  std::vector<RoundResult> stopped;
  std::vector<Work> batch = Schedule();
  if (batch.empty()) return stopped;
  RW_RETURN_IF_ERROR(Sample(batch));
  for (const Work& work : batch) {
    if (!work.samples || !Record(*work.episode, work.sampled)) continue;
    stopped.push_back(std::move(work.episode->round->result));
    work.episode->round.reset();
  }
  std::erase_if(running_, [](const RunningEpisode* episode) { return !episode->round; });
  return stopped;
}

void BatchedGenerator::EndEpisode(const std::string& episode_id) {
  const auto found = episodes_.find(episode_id);
  if (found == episodes_.end()) return;
  std::erase(running_, &found->second);
  episodes_.erase(found);
}

absl::Status BatchedGenerator::SetWeights(std::shared_ptr<const PolicyWeights> weights,
                                          int64_t policy_version) {
  RW_RETURN_IF_ERROR(decoder_->SetWeights(std::move(weights)));
  policy_version_ = policy_version;
  for (auto& [id, episode] : episodes_) episode.cache = decoder_->NewCache();
  return absl::OkStatus();
}

}  // namespace

std::unique_ptr<Generator> NewBatchedGenerator(std::unique_ptr<Decoder> decoder,
                                               const Tokenizer* tokenizer,
                                               const WorkerConfig& worker_config,
                                               int64_t policy_version) {
  return std::make_unique<BatchedGenerator>(std::move(decoder), tokenizer, worker_config,
                                            policy_version);
}

}  // namespace routewright
