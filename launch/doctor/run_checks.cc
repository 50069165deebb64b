#include "launch/doctor/run_checks.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "common/config/algorithm_facts.h"
#include "common/config/config_loader.h"
#include "common/dataset.h"
#include "common/money/money.h"
#include "common/secret.h"
#include "policy/formats/policy_folder.h"
#include "rollout_workers/episode/episode_setup.h"
#include "rollout_workers/episode/prompt.h"
#include "rollout_workers/pool/http_pool_client.h"
#include "rollout_workers/pool/pool_endpoint.h"
#include "trainer/experience/demonstrations.h"
#include "trainer/experience/question_source.h"
#include "trainer/live_page/page_access.h"

namespace routewright {
namespace {

constexpr absl::Duration kProbePatience = absl::Seconds(30);

std::string Message(const absl::Status& status) { return std::string(status.message()); }

bool IsSupervised(const RunConfig& config) {
  return FactsOf(config.trainer()).learns_from_demonstrations();
}

Finding JudgeCall(const PoolModelConfig& model, const PoolCall& call) {
  const std::string subject = absl::StrCat("pool ", model.name());
  if (call.outcome() != CALL_OUTCOME_OK && call.outcome() != CALL_OUTCOME_TRUNCATED) {
    return Failure(subject, call.error().empty() ? CallOutcome_Name(call.outcome()) : call.error(),
                   call.attempts() > 0
                       ? "start the endpoint, or mend its entry in pool.models"
                       : "nothing was sent: raise run.budget_usd, or mend what it says");
  }
  const std::string text =
      absl::StrFormat("answered in %.0f ms for $%.3g (%d + %d tokens)", call.latency_ms(),
                      PicousdToUsd(call.cost_picousd()), call.input_tokens(), call.output_tokens());
  if (call.is_estimated()) {
    return Warning(subject, text + ", but said nothing usable of usage",
                   "costs will be counted and marked as estimated; let the server report usage");
  }
  const std::string& asked = model.has_served_model() ? model.served_model() : model.name();
  if (!call.served_model().empty() && call.served_model() != asked) {
    return Warning(subject, absl::StrCat(text, ", as ", call.served_model()),
                   absl::StrCat("it was asked for ", asked, ": is served_model right?"));
  }
  return Ok(subject, text);
}

// An episode whose prompt is too long ends before its first round.
Finding JudgePrompt(const RunConfig& config, const EpisodeSetup& setup,
                    const std::vector<Question>& questions) {
  const auto num_tokens = [&](const std::string& question) {
    return static_cast<int64_t>(setup.context().prompt->Tokens(question).size());
  };
  if (questions.empty()) return Ok("prompt", "tokenizer, chat template and prompt fit together");
  // By bytes; which one has most tokens may differ a little.
  const auto [shortest, longest] = std::minmax_element(
      questions.begin(), questions.end(), [](const Question& a, const Question& b) {
        return a.question().size() < b.question().size();
      });
  const int64_t least = num_tokens(shortest->question()), most = num_tokens(longest->question());
  const int64_t limit = config.episode().max_prompt_tokens();
  const std::string text = absl::StrFormat(
      "tokenizer, chat template and prompt fit together: %d to %d tokens of the %d "
      "that episode.max_prompt_tokens allows",
      least, most, limit);
  const std::string remedy = absl::StrFormat(
      "raise episode.max_prompt_tokens to %d or more, or shorten the prompt template", most);
  if (least > limit) return Failure("prompt", text + ": no episode can begin", remedy);
  if (most > limit) return Warning("prompt", text + ": episodes that pass it do not begin", remedy);
  return Ok("prompt", text);
}

Finding JudgeQuestions(const std::vector<Question>& train, const std::vector<Question>& held_out) {
  const std::string text =
      absl::StrFormat("%d questions to learn from, %d held out", train.size(), held_out.size());
  std::set<std::string> learnt;
  for (const Question& question : train) learnt.insert(question.question());
  const auto num_shared = std::count_if(
      held_out.begin(), held_out.end(),
      [&](const Question& question) { return learnt.count(question.question()) > 0; });
  if (num_shared == 0) return Ok("data", text);
  return Warning("data", absl::StrFormat("%s, of which %d are learnt from too", text, num_shared),
                 "take them out of data.train, or the evaluation says more than is true");
}

Findings CheckDemonstrations(const RunConfig& config) {
  const auto model = LoadModelConfig(config.policy().path());
  if (!model.ok()) return {};  // said already
  const auto loaded = Demonstrations::Load(config, *model);
  if (!loaded.ok()) return {Failure("data", Message(loaded.status()), "mend data.demonstrations")};
  return {Ok("data", absl::StrFormat("%d demonstrations", (*loaded)->size()))};
}

// A price that was meant in dollars makes calls all but free, for the reward and for the budget.
constexpr int64_t kLeastPriceMicrousd = 1000;  // nobody sells 1M tokens for less than $0.001

Finding JudgePrices(const RunConfig& config) {
  std::vector<std::string> prices, doubtful;
  for (const PoolModelConfig& model : config.pool().models()) {
    prices.push_back(absl::StrCat(model.name(), " $", FormatPrice(model.input_price()), " in, $",
                                  FormatPrice(model.output_price()), " out"));
    if (std::max(model.input_price(), model.output_price()) < kLeastPriceMicrousd) {
      doubtful.push_back(model.name());
    }
  }
  const std::string text = absl::StrCat("per 1M tokens: ", absl::StrJoin(prices, "; "));
  if (doubtful.empty()) return Ok("prices", text);
  return Warning(
      "prices", absl::StrCat(text, ": ", absl::StrJoin(doubtful, ", "), " all but free"),
      "if that is not meant: prices are in micro-dollars per 1M tokens, $0.10 is 100000; "
      "rewards and run.budget_usd go by them");
}

}  // namespace

Findings CheckPolicy(const RunConfig& config) {
  Findings findings;
  const std::string& folder = config.policy().path();
  const auto model = LoadModelConfig(folder);
  if (!model.ok()) {
    return {Failure("policy", Message(model.status()),
                    "name a folder in Hugging Face's layout in policy.path, or make one with "
                    "`routewright convert`")};
  }
  const auto tensors = OpenPolicyTensors(folder, *model);
  if (tensors.ok()) {
    findings.push_back(
        Ok("policy",
           absl::StrFormat("%s: %s, %d parameters", folder, ArchitectureName(model->architecture),
                           ParameterLayout(*model, HeadKind::kLanguageModel).num_parameters())));
  } else {
    findings.push_back(Failure("policy", Message(tensors.status()),
                               "copy its weights there, or mend policy.path"));
  }
  return findings;
}

Findings CheckData(const RunConfig& config) {
  if (IsSupervised(config)) return CheckDemonstrations(config);
  auto train = LoadDatasets(config.data().train());
  auto held_out = LoadDatasets(config.data().held_out());
  Findings findings;
  std::vector<Question> questions;
  if (train.ok() && held_out.ok()) {
    findings.push_back(JudgeQuestions(*train, *held_out));
    const absl::Status weights = CheckSourceWeights(config.data(), *train);
    if (!weights.ok()) findings.push_back(Failure("data", Message(weights), "mend its name"));
    questions = *std::move(train);
    std::move(held_out->begin(), held_out->end(), std::back_inserter(questions));
  } else {
    findings.push_back(train.ok()
                           ? Failure("data", Message(held_out.status()), "mend data.held_out")
                           : Failure("data", Message(train.status()), "mend data.train"));
  }
  if (!LoadModelConfig(config.policy().path()).ok()) return findings;  // said already
  const auto setup = EpisodeSetup::Load(config, config.policy().path());
  findings.push_back(setup.ok() ? JudgePrompt(config, **setup, questions)
                                : Failure("prompt", Message(setup.status()),
                                          "mend what it names: episode.max_sequence_tokens, the "
                                          "tokenizer in policy.path, policy.chat_template, "
                                          "prompt.template_path or "
                                          "prompt.pool_template_path"));
  return findings;
}

Findings CheckLivePage(const RunConfig& config) {
  const LivePageConfig& page = config.trainer().live_page();
  if (!page.serve() || (page.token_env().empty() && page.token_file().empty())) return {};
  const auto token = LoadSecret(page.token_env(), page.token_file(), "live page's token");
  const absl::Status status = token.ok() ? CheckToken(*token) : token.status();
  if (status.ok()) return {Ok("live page", "its token is there")};
  return {Failure("live page", Message(status), "or leave the token out and listen on 127.0.0.1")};
}

Findings CheckEndpoints(const RunConfig& config) {
  Findings findings;
  for (const PoolModelConfig& model : config.pool().models()) {
    const std::string subject = absl::StrCat("endpoint ", model.name());
    const auto endpoint = ResolveEndpoint(model);
    if (!endpoint.ok()) {
      findings.push_back(Failure(subject, Message(endpoint.status()),
                                 "mend its entry in pool.models, or export the variable that this "
                                 "names (an address is http://HOST:PORT)"));
      continue;
    }
    const bool has_key = !endpoint->api_key.is_empty();
    findings.push_back(Ok(subject, absl::StrCat(endpoint->base_url, " as ", endpoint->served_model,
                                                has_key ? ", with a key" : ", without a key")));
    if (!has_key && !endpoint->is_loopback) {
      findings.back().level = Finding::Level::kWarning;
      findings.back().remedy = "name its key's api_key_env or api_key_file if it wants one";
    }
  }
  if (!findings.empty()) findings.push_back(JudgePrices(config));
  return findings;
}

Findings ProbePool(const RunConfig& config) {
  PoolConfig pool = config.pool();
  pool.set_max_retries(0);
  pool.set_max_reply_tokens(8);
  pool.set_call_timeout_s(std::min(pool.call_timeout_s(), 20.0));
  const std::string folder = RunFolder(config);
  const absl::Status made = FileSystem::Posix().CreateFolders(folder);
  if (!made.ok()) return {Failure("pool", Message(made), "mend run.output_dir")};
  HttpPoolClientOptions options;
  options.ledger_folder = PoolLedgerFolder(config);
  options.budget = std::make_shared<PoolBudget>(config);
  const auto client = MakeHttpPoolClient(pool, std::move(options));
  if (!client.ok()) return {};  // CheckEndpoints has said why
  const absl::Time deadline = absl::Now() + kProbePatience;
  for (const PoolModelConfig& model : pool.models()) {
    // Named by the moment: a call is named once and for all.
    const std::string id =
        absl::StrCat("doctor/", absl::ToUnixMicros(absl::Now()), "/", model.name());
    (*client)
        ->Start({.call_id = id,
                 .episode_id = "doctor",
                 .model = model.name(),
                 .prompt = "Reply with the word: ready"})
        .IgnoreError();  // a call that does not start does not come back either
  }
  Findings findings;
  std::set<std::string> answered;
  while (static_cast<int>(answered.size()) < pool.models_size() && absl::Now() < deadline) {
    for (const PoolCall& call : (*client)->TakeFinished(absl::Milliseconds(200))) {
      answered.insert(call.model());
      for (const PoolModelConfig& model : pool.models()) {
        if (model.name() == call.model()) findings.push_back(JudgeCall(model, call));
      }
    }
  }
  for (const PoolModelConfig& model : pool.models()) {
    if (answered.count(model.name()) > 0) continue;
    findings.push_back(Failure(absl::StrCat("pool ", model.name()), "did not answer in time",
                               "is its server overloaded or still loading its model?"));
  }
  return findings;
}

}  // namespace routewright
