// `routewright generate`: samples from a policy, token ids in and out.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "common/status_macros.h"
#include "launch/cli/command.h"
#include "launch/cli/config_flags.h"
#include "launch/cli/json_lines.h"
#include "launch/cli/token_request.h"
#include "policy/formats/policy_folder.h"
#include "rollout_workers/generator/cpu_generator.h"

namespace routewright {
namespace {

constexpr char kFooter[] =
    R"(Reads {"ids":[…],"max_tokens":n,"temperature":t,"seed":s} a line (only ids is needed; defaults
128, 1 and 0; temperature 0 is greedy) and writes {"ids":[…],"logprobs":[…]} a line in the same
order: the new ids, an end token included, and the log-probability of each as it was drawn. Lines
are answered together, as they come; an answer does not depend on the others. A bad line is named
on stderr, the others are still answered, and the exit code is 1.

example:
  echo '"The capital of France is"' | routewright tokenize --policy DIR |
    routewright generate --policy DIR)";

struct GenerateFlags {
  std::string policy;
  int threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  int batch = 64;
};

// Starts the line's round, or refuses the line and returns false. Episodes are named
// by their lines' numbers.
bool StartLine(const ModelConfig& config, const JsonLines::Line& line, Generator& generator,
               JsonLines& lines) {
  absl::StatusOr<TokenRequest> parsed =
      ParseTokenRequest(line.text, config, /*with_sampling=*/true);
  if (!parsed.ok()) {
    lines.Refuse(line.number, parsed.status());
    return false;
  }
  RoundRequest request;
  request.episode_id = absl::StrCat(line.number);
  request.stream_key = StreamKey(parsed->seed, "generate", 0);
  request.temperature = parsed->temperature;
  request.max_new_tokens = parsed->max_tokens;
  request.new_token_ids = std::move(parsed->ids);
  const absl::Status status = generator.StartRound(std::move(request));
  if (!status.ok()) lines.Refuse(line.number, status);
  return status.ok();
}

absl::Status StepOnce(Generator& generator, JsonLines& lines, int* num_running) {
  RW_ASSIGN_OR_RETURN(const std::vector<RoundResult> results, generator.Step());
  for (const RoundResult& result : results) {
    const nlohmann::ordered_json answer = {{"ids", result.token_ids},
                                           {"logprobs", result.logprobs}};
    int64_t number = 0;
    if (absl::SimpleAtoi(result.episode_id, &number)) lines.Answer(number, answer.dump());
    generator.EndEpisode(result.episode_id);
    --*num_running;
  }
  return absl::OkStatus();
}

absl::StatusOr<int> Generate(const GenerateFlags& flags) {
  RW_ASSIGN_OR_RETURN(const ModelConfig config, LoadModelConfig(flags.policy));
  RW_ASSIGN_OR_RETURN(std::shared_ptr<const PolicyWeights> weights,
                      LoadPolicyWeights(flags.policy, config));
  WorkerConfig worker_config;
  worker_config.set_threads(flags.threads);
  RW_ASSIGN_OR_RETURN(const std::unique_ptr<Generator> generator,
                      NewCpuGenerator(config, std::move(weights), nullptr, worker_config));
  JsonLines lines("generate");
  int num_running = 0;
  while (lines.status().ok() && !(lines.is_at_end() && generator->is_idle())) {
    while (num_running < flags.batch) {
      const auto line = lines.Next(/*may_wait=*/generator->is_idle());
      if (!line) break;
      if (StartLine(config, *line, *generator, lines)) ++num_running;
    }
    RW_RETURN_IF_ERROR(StepOnce(*generator, lines, &num_running));
  }
  return lines.ExitCode();
}

}  // namespace

int RunGenerate(int argc, char** argv) {
  CLI::App app("Samples from a policy, token ids in and out.", "routewright generate");
  app.footer(kFooter);
  GenerateFlags flags;
  app.add_option("--policy", flags.policy, "a policy folder: config.json and *.safetensors")
      ->required();
  app.add_option("--threads", flags.threads, "threads; default: one per core")
      ->check(CLI::Range(1, 1024));
  app.add_option("--batch", flags.batch, "lines in work at once")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  if (const int code = ParseCommandLine(app, argc, argv); code >= 0) return code;
  const absl::StatusOr<int> code = Generate(flags);
  return code.ok() ? *code : PrintFailure("generate", code.status());
}

}  // namespace routewright
