// For checkpoint_kill.py: saves one checkpoint after another, of states that their steps draw,
// until it is killed; and says whether what it left is whole.
//
//   checkpoint_loop save FOLDER FIRST_STEP RANKS    prints a step once its checkpoint is committed
//   checkpoint_loop check FOLDER                    prints the newest whole checkpoint's step, or
//   -1
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/trainer/checkpoint/test_checkpoint.h"
#include "trainer/checkpoint/checkpoint_store.h"

namespace routewright {
namespace {

ModelConfig Model() {
  ModelConfig model = TinyModelConfig();
  model.vocabulary_size = 4096;  // some milliseconds a save
  model.width = 64;
  return model;
}

int SaveForever(const std::string& folder, int64_t first_step, int ranks) {
  for (int64_t step = first_step;; ++step) {
    const absl::Status status = SaveTestCheckpoint(
        FileSystem::Posix(), folder, {.step = step, .num_ranks = ranks, .model = Model()});
    if (!status.ok()) return std::fprintf(stderr, "%s\n", status.ToString().c_str()), 1;
    std::printf("%lld\n", static_cast<long long>(step));
    std::fflush(stdout);
  }
}

int Check(const std::string& folder) {
  CheckpointStore store(FileSystem::Posix(), folder, {});
  const absl::Status status = store.RemoveUnfinished();
  const auto steps = store.Steps();
  if (!status.ok() || !steps.ok()) return std::fprintf(stderr, "the folder is lost\n"), 1;
  if (steps->empty()) return std::printf("-1\n"), 0;
  for (const int64_t step : *steps) {  // the one before it must be whole too
    const auto reader = CheckpointReader::OpenWhole(FileSystem::Posix(), store.FolderOf(step));
    if (!reader.ok()) return std::fprintf(stderr, "%s\n", reader.status().ToString().c_str()), 1;
    TestState(Model(), {"policy"}, step).ExpectIn(**reader, 1000);
    if (::testing::Test::HasFailure() || (*reader)->manifest().step() != step) return 1;
  }
  std::printf("%lld\n", static_cast<long long>(steps->back()));
  return 0;
}

}  // namespace
}  // namespace routewright

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const std::string command = argc > 2 ? argv[1] : "";
  if (command == "save" && argc == 5) {
    return routewright::SaveForever(argv[2], std::atoll(argv[3]), std::atoi(argv[4]));
  }
  if (command == "check") return routewright::Check(argv[2]);
  return std::fprintf(stderr, "usage: see the head of checkpoint_loop.cc\n"), 2;
}
