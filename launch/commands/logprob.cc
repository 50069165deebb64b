// `routewright logprob`: log-probabilities of token sequences under a policy.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <list>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <thread>

#include "common/status_macros.h"
#include "kernels/parallel_for.h"
#include "launch/cli/command.h"
#include "launch/cli/config_flags.h"
#include "launch/cli/json_lines.h"
#include "launch/cli/token_request.h"
#include "policy/decoder/decoder.h"
#include "policy/decoder/sampler.h"
#include "policy/formats/policy_folder.h"

namespace routewright {
namespace {

constexpr char kFooter[] =
    R"(Reads {"ids":[…]} a line and writes {"logprobs":[…]} a line in the same order: the natural
logarithm of the probability of each id after the first, given the ids before it, at temperature 1.
A bad line is named on stderr, the others are still answered, and the exit code is 1.

example:
  echo '{"ids":[504,2960,282]}' | routewright logprob --policy DIR)";

struct LogprobFlags {
  std::string policy;
  int threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
};

struct Sequence {
  int64_t number;  // its line
  std::vector<uint32_t> ids;
  std::unique_ptr<KvCache> cache;
  std::vector<float> logprobs;

  // The last id is scored, never run.
  int64_t num_left() const { return static_cast<int64_t>(ids.size()) - 1 - cache->num_tokens(); }
};

// Scores sequences together, first come first served, at most `chunk_tokens`
// tokens in one Decode call.
class Scorer {
 public:
  Scorer(std::unique_ptr<Decoder> decoder, int num_threads)
      : decoder_(std::move(decoder)),
        num_threads_(num_threads),
        chunk_tokens_(std::clamp<int64_t>(kMaxLogits / decoder_->config().vocabulary_size, 1,
                                          kMaxChunkTokens)) {}

  bool is_idle() const { return sequences_.empty(); }
  bool is_full() const { return num_left_ >= chunk_tokens_; }
  const ModelConfig& config() const { return decoder_->config(); }

  void Add(int64_t number, std::vector<uint32_t> ids) {
    num_left_ += static_cast<int64_t>(ids.size()) - 1;
    sequences_.push_back({number, std::move(ids), decoder_->NewCache(), {}});
  }
  absl::Status Step(JsonLines& lines);

 private:
  static constexpr int64_t kMaxChunkTokens = 256;
  static constexpr int64_t kMaxLogits = int64_t{1} << 24;  // of one call, for their memory

  std::unique_ptr<Decoder> decoder_;
  int num_threads_;
  int64_t chunk_tokens_;
  int64_t num_left_ = 0;
  std::list<Sequence> sequences_;
};

absl::Status Scorer::Step(JsonLines& lines) {
  std::vector<Sequence*> sequences;
  std::vector<DecodeRow> rows;
  int64_t budget = chunk_tokens_;
  for (Sequence& sequence : sequences_) {
    const int64_t count = std::min(budget, sequence.num_left());
    if (count == 0) continue;
    budget -= count;
    sequences.push_back(&sequence);
    rows.push_back({sequence.cache.get(),
                    std::span(sequence.ids).subspan(sequence.cache->num_tokens(), count), true});
  }
  RW_ASSIGN_OR_RETURN(const std::vector<std::vector<float>> logits, decoder_->Decode(rows));
  const int64_t vocabulary_size = config().vocabulary_size;
  for (size_t i = 0; i < rows.size(); ++i) {
    Sequence& sequence = *sequences[i];
    const size_t first = sequence.logprobs.size();
    sequence.logprobs.resize(first + rows[i].token_ids.size());
    ParallelFor(static_cast<int64_t>(rows[i].token_ids.size()), num_threads_, [&](int64_t t) {
      const auto row = std::span(logits[i]).subspan(t * vocabulary_size, vocabulary_size);
      sequence.logprobs[first + t] = TokenLogprob(row, 1, sequence.ids[first + t + 1]);
    });
  }
  num_left_ -= chunk_tokens_ - budget;
  std::erase_if(sequences_, [&](const Sequence& sequence) {
    if (sequence.num_left() > 0) return false;
    lines.Answer(sequence.number, nlohmann::ordered_json{{"logprobs", sequence.logprobs}}.dump());
    return true;
  });
  return absl::OkStatus();
}

absl::StatusOr<int> ScoreLines(const LogprobFlags& flags) {
  RW_ASSIGN_OR_RETURN(const ModelConfig config, LoadModelConfig(flags.policy));
  RW_ASSIGN_OR_RETURN(std::shared_ptr<const PolicyWeights> weights,
                      LoadPolicyWeights(flags.policy, config));
  RW_ASSIGN_OR_RETURN(std::unique_ptr<Decoder> decoder,
                      NewCpuDecoder(config, std::move(weights), flags.threads));
  Scorer scorer(std::move(decoder), flags.threads);
  JsonLines lines("logprob");
  while (lines.status().ok() && !(lines.is_at_end() && scorer.is_idle())) {
    while (!scorer.is_full()) {
      const auto line = lines.Next(/*may_wait=*/scorer.is_idle());
      if (!line) break;
      absl::StatusOr<TokenRequest> request =
          ParseTokenRequest(line->text, config, /*with_sampling=*/false);
      if (request.ok()) {
        scorer.Add(line->number, std::move(request->ids));
      } else {
        lines.Refuse(line->number, request.status());
      }
    }
    RW_RETURN_IF_ERROR(scorer.Step(lines));
  }
  return lines.ExitCode();
}

}  // namespace

int RunLogprob(int argc, char** argv) {
  CLI::App app("Log-probabilities of token ids under a policy.", "routewright logprob");
  app.footer(kFooter);
  LogprobFlags flags;
  app.add_option("--policy", flags.policy, "a policy folder: config.json and *.safetensors")
      ->required();
  app.add_option("--threads", flags.threads, "threads; default: one per core")
      ->check(CLI::Range(1, 1024));
  if (const int code = ParseCommandLine(app, argc, argv); code >= 0) return code;
  const absl::StatusOr<int> code = ScoreLines(flags);
  return code.ok() ? *code : PrintFailure("logprob", code.status());
}

}  // namespace routewright
