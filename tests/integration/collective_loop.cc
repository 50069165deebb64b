// One rank that does the same collective again and again, with a little work between, for
// lost_rank.py to kill or stop: collective_loop gather|reduce_scatter|all_reduce|barrier DEADLINE_S
// REPORT. Prints "rank R pid P" when it has been through one; the file REPORT.R holds the number of
// operations, 8 bytes, that it has come to. Never ends by itself.
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "trainer/comm/communicator.h"

namespace routewright {
namespace {

constexpr int64_t kPiece = 200000;  // floats of each rank

int Loop(const std::string& operation, double deadline_s, const std::string& report) {
  CommunicatorConfig config;
  config.set_deadline_s(deadline_s);
  auto made = NewCommunicator(config, /*is_on_gpu=*/false, report);
  if (!made.ok()) return 1;
  Communicator& world = **made;
  std::vector<float> mine(kPiece, 1.0f), all(kPiece * world.size(), 1.0f);
  const CommBuffer piece{.data = mine.data(), .num_elements = kPiece};
  const CommBuffer whole{.data = all.data(), .num_elements = kPiece * world.size()};
  const std::map<std::string, std::function<std::unique_ptr<Collective>()>> operations = {
      {"gather", [&] { return world.AllGather("gather", piece, whole); }},
      {"reduce_scatter", [&] { return world.ReduceScatterSum("reduce_scatter", whole, piece); }},
      {"all_reduce", [&] { return world.AllReduceSum("all_reduce", whole); }},
      {"barrier", [&] { return world.Barrier("barrier"); }}};
  const auto start = operations.find(operation);
  if (start == operations.end()) return 2;
  const std::string progress = report + "." + std::to_string(world.rank());
  const int file = open(progress.c_str(), O_WRONLY | O_CREAT, 0644);
  for (int64_t i = 1;; ++i) {
    if (pwrite(file, &i, sizeof(i), /*offset=*/0) != sizeof(i)) return 1;
    world.BeginStep(i);
    if (!start->second()->Wait().ok()) return 1;
    volatile double work = 0.0;
    for (int n = 0; n < 100000; ++n) work = work + n;
    if (i == 1) {
      std::printf("rank %d pid %d\n", world.rank(), getpid());
      std::fflush(stdout);
    }
  }
}

}  // namespace
}  // namespace routewright

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  return routewright::Loop(argv[1], std::atof(argv[2]), argv[3]);
}
