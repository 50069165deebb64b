// Serves the page of a made-up run, for tests and for looking at it:
//   page_fixture FOLDER [STEPS [WORKERS [MODELS [ADDRESS]]]]
// writes FOLDER/made-up/metrics.jsonl, prints the URL, and obeys lines on stdin: "step" makes one
// more, "end STATE MESSAGE" ends the run, the end of stdin ends the program. $PAGE_TOKEN, if it is
// set, is the token. Without "plain" as the last argument every text is hostile.
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "common/config/config_loader.h"
#include "common/file_system.h"
#include "tests/trainer/live_page/made_up_run.h"
#include "trainer/live_page/live_state.h"
#include "trainer/live_page/page_server.h"
#include "trainer/record/run_folder.h"

namespace routewright {
namespace {

struct Arguments {
  std::string folder;
  int steps = 120, workers = 1000, models = 4;
  std::string address = "127.0.0.1:0";
  std::string reply = kHostile;
};

class MadeUpRun {
 public:
  explicit MadeUpRun(const Arguments& arguments)
      : arguments_(arguments),
        config_(MadeUpConfig(arguments.folder, arguments.models)),
        folder_(FileSystem::Posix(), RunFolder(config_)),
        tokenizer_(MadeUpTokenizer()),
        state_(config_, {{"code_version", "0.1.0+made-up"}, {"host", "nowhere"}},
               tokenizer_.get()) {}

  absl::Status Serve() {
    if (const auto status = folder_.Prepare(ConfigToYaml(config_), "{}\n"); !status.ok()) {
      return status;
    }
    auto log = MetricsLog::Open(FileSystem::Posix(), folder_.metrics(), 0);
    if (!log.ok()) return log.status();
    log_.emplace(*std::move(log));
    if (const auto status = state_.Begin(FileSystem::Posix(), folder_.metrics(), 0); !status.ok()) {
      return status;
    }
    for (int i = 0; i < arguments_.steps; ++i) Step();
    state_.WatchWorkers([this] { return MadeUpWorkers(arguments_.workers, step_ + 1); });
    state_.ShowCollecting(
        {.num_episodes = 128, .num_committed = 40, .num_workers = arguments_.workers});
    const char* token = std::getenv("PAGE_TOKEN");
    auto server = PageServer::Start(
        {.listen_address = arguments_.address, .token = Secret(token != nullptr ? token : "")},
        &state_);
    if (!server.ok()) return server.status();
    server_ = *std::move(server);
    std::printf("%s\n", server_->url().c_str());
    std::fflush(stdout);
    return absl::OkStatus();
  }

  void Step() {
    const auto trajectories = MadeUpTrajectories(*tokenizer_, config_, step_, arguments_.reply);
    const Metrics metrics = MadeUpMetrics(config_, step_, trajectories);
    if (!log_->Write(step_, metrics).ok()) std::exit(1);
    state_.Record(step_, metrics, trajectories, [&](size_t place) {
      return std::vector<float>(
          static_cast<size_t>(trajectories[place].token_ids_size()),
          place < 8 ? static_cast<float>(trajectories[place].reward() - 0.4) : NAN);
    });
    ++step_;
  }

  void End(const std::string& state, const std::string& message) { state_.End(state, message); }

 private:
  const Arguments arguments_;
  const RunConfig config_;
  RunFolderFiles folder_;
  const std::unique_ptr<Tokenizer> tokenizer_;
  LiveState state_;
  std::optional<MetricsLog> log_;
  int64_t step_ = 0;
  std::unique_ptr<PageServer> server_;
};

int Main(std::vector<std::string> words) {
  Arguments arguments;
  if (!words.empty() && words.back() == "plain") {
    arguments.reply = "The capital is Lima.";
    words.pop_back();
  }
  if (words.empty()) return 2;
  arguments.folder = words[0];
  if (words.size() > 1) arguments.steps = std::stoi(words[1]);
  if (words.size() > 2) arguments.workers = std::stoi(words[2]);
  if (words.size() > 3) arguments.models = std::stoi(words[3]);
  if (words.size() > 4) arguments.address = words[4];
  MadeUpRun run(arguments);
  if (const absl::Status status = run.Serve(); !status.ok()) {
    std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
    return 1;
  }
  for (std::string word; std::cin >> word;) {
    if (word == "step") run.Step();
    if (word != "end") continue;
    std::string state, message;
    std::cin >> state;
    std::getline(std::cin >> std::ws, message);
    run.End(state, message);
  }
  return 0;
}

}  // namespace
}  // namespace routewright

int main(int argc, char** argv) {
  return routewright::Main(std::vector<std::string>(argv + 1, argv + argc));
}
