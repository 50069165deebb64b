// What sharding costs, under mpirun with 2 ranks or more; rank 0 prints JSON. A model of SmolLM2's
// block shape, f32, one thread a rank, supervised steps of 8 trajectories of 256 tokens
// a rank: enough for a block's forward to outlast the gather of the next one.
//
//   hidden_gather_share   over a link of 100 MB/s, stage full: 1 − Σ waits for gathers / Σ time
//                         that the link was busy with them
//   full_over_replicated  seconds of a step without throttle, both in turn, median of paired ratios
//
// With a file's name as its argument it also writes rank 0's throttled step there as a Chrome trace
// (open it in chrome://tracing or Perfetto).
#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <vector>

#include "common/file_system.h"
#include "common/trace.h"
#include "tests/benchmarks/benchmark_models.h"
#include "tests/trainer/comm/throttled_communicator.h"
#include "tests/trainer/experience/recorded_trajectories.h"
#include "tests/trainer/update/tiny_model.h"
#include "trainer/comm/communicator.h"
#include "trainer/trace/chrome_trace.h"
#include "trainer/update/policy_update.h"

namespace routewright {
namespace {

using nlohmann::json;

constexpr double kLinkBytesPerS = 100e6;
constexpr int kTrajectoriesPerRank = 8;
constexpr int kTokens = 256;  // of each
constexpr int kPairs = 7;

ModelConfig Model() { return SmolLm2ShapedModel(/*layers=*/8, /*vocabulary_size=*/2048); }

// One way to train, set up and ready for steps.
class Trainer {
 public:
  Trainer(ShardingConfig::Stage stage, Communicator* communicator)
      : batch_(RecordEqualBatch(communicator->size() * kTrajectoriesPerRank, kTokens, 7,
                                Model().vocabulary_size)) {
    UpdateOptions options;
    options.model = Model();
    options.config.set_algorithm(TrainerConfig::ALGORITHM_SUPERVISED);
    options.config.set_steps(1000);
    options.config.set_max_micro_batch_tokens(kTrajectoriesPerRank * kTokens);
    options.config.mutable_sharding()->set_stage(stage);
    groups_ = RankGroups::Make(communicator, options.config.sharding()).value();
    options.groups = groups_.get();
    update_ = std::make_unique<PolicyUpdate>(options);
    const auto weights = TinyModelWeights(options.model, 1);
    const TensorSource initial = TensorsOf(weights);
    if (!update_->Initialize(communicator->rank() == 0 ? &initial : nullptr).ok()) std::abort();
  }
  double StepSeconds() {
    if (!groups_->world().Barrier("step")->Wait().ok()) std::abort();
    const absl::Time start = absl::Now();
    if (!update_->Run(batch_, step_++, 0.0).ok()) std::abort();
    return absl::ToDoubleSeconds(absl::Now() - start);
  }

 private:
  const Batch batch_;
  std::unique_ptr<RankGroups> groups_;
  std::unique_ptr<PolicyUpdate> update_;
  int64_t step_ = 0;
};

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void WriteTrace(const char* path, const std::vector<LinkUse>& uses) {
  ChromeTrace trace;
  const int rank = trace.AddProcess("rank 0");
  for (const LinkUse& use : uses) {
    trace.AddSpan(rank, "link", MakeSpan(use.name, use.begin, use.end));
    trace.AddSpan(rank, "computing thread",
                  MakeSpan("wait " + use.name, use.wait_begin, use.wait_end));
  }
  const absl::Status written =
      WriteFileAtomically(FileSystem::Posix(), path, trace.ToJson({{"link", "throttled"}}));
  if (!written.ok()) std::fprintf(stderr, "%s\n", written.ToString().c_str());
}

json MeasureHidden(Communicator* world, const char* trace_path) {
  ThrottledCommunicator throttled(world, kLinkBytesPerS);
  Trainer full(ShardingConfig::STAGE_FULL, &throttled);
  full.StepSeconds();
  throttled.uses().clear();
  const double step_s = full.StepSeconds();
  double busy_s = 0.0, waited_s = 0.0;
  for (const LinkUse& use : throttled.uses()) {
    if (!use.name.starts_with("gather/")) continue;
    busy_s += absl::ToDoubleSeconds(use.end - use.begin);
    waited_s += absl::ToDoubleSeconds(use.wait_end - use.wait_begin);
  }
  if (trace_path != nullptr && world->rank() == 0) WriteTrace(trace_path, throttled.uses());
  return {{"link_MB_per_s", kLinkBytesPerS / 1e6},
          {"step_s", step_s},
          {"gather_link_s", busy_s},
          {"gather_wait_s", waited_s},
          {"hidden_gather_share", 1.0 - waited_s / busy_s}};
}

json MeasureRatio(Communicator* world) {
  Trainer full(ShardingConfig::STAGE_FULL, world);
  Trainer replicated(ShardingConfig::STAGE_REPLICATED, world);
  full.StepSeconds();
  replicated.StepSeconds();
  std::vector<double> full_s, replicated_s, ratios;
  for (int i = 0; i < kPairs; ++i) {
    full_s.push_back(full.StepSeconds());
    replicated_s.push_back(replicated.StepSeconds());
    ratios.push_back(full_s.back() / replicated_s.back());
  }
  return {{"full_s", Median(full_s)},
          {"replicated_s", Median(replicated_s)},
          {"full_over_replicated", Median(ratios)},
          {"least", *std::min_element(ratios.begin(), ratios.end())},
          {"most", *std::max_element(ratios.begin(), ratios.end())},
          {"pairs", kPairs}};
}

}  // namespace
}  // namespace routewright

int main(int argc, char** argv) {
  using namespace routewright;
  at::set_num_threads(1);
  auto world = NewCommunicator({}, /*is_on_gpu=*/false);
  if (!world.ok()) {
    std::fprintf(stderr, "%s\n", std::string(world.status().message()).c_str());
    return 1;
  }
  const json hidden = MeasureHidden(world->get(), argc > 1 ? argv[1] : nullptr);
  const json ratio = MeasureRatio(world->get());
  if ((*world)->rank() != 0) return 0;
  const json report = {{"ranks", (*world)->size()},
                       {"tokens_per_rank", kTrajectoriesPerRank * kTokens},
                       {"throttled", hidden},
                       {"unthrottled", ratio}};
  std::puts(report.dump(2).c_str());
  return 0;
}
