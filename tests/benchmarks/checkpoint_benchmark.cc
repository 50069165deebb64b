// What a checkpoint costs, on one rank: prints JSON, seconds by round. The state is that of a
// policy of 90 M parameters: 1 GiB of weights and moments in f32.
//
//   memcpy_s     copying as many bytes from memory to memory
//   stall_s      training stands still: the copy, and handing it to the writing thread
//   save_s       until the checkpoint is in its place, from the same moment
//   raw_s        writing as many bytes to one file of the same folder, and fsync
//   load_s       opening, checking every byte, and reading into the training state; the files lie
//                in the page cache
//   cold_load_s  … the files were dropped from it
//   cold_raw_s   reading these files one after another, dropped from it, without a look at them
//
//   checkpoint_benchmark FOLDER ROUNDS
#include <ATen/Parallel.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/time/clock.h"
#include "policy/formats/random_policy.h"
#include "tests/benchmarks/benchmark_models.h"
#include "trainer/checkpoint/checkpoint_reader.h"
#include "trainer/checkpoint/checkpoint_saver.h"
#include "trainer/comm/local_communicator.h"
#include "trainer/update/host_copy.h"
#include "trainer/update/policy_update.h"

namespace routewright {
namespace {

using nlohmann::json;

ModelConfig Model() {
  ModelConfig config = SmolLm2ShapedModel(/*layers=*/17);
  config.end_token_ids = {1};
  return config;
}

void CheckOk(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "checkpoint_benchmark: %s\n", std::string(status.message()).c_str());
  std::exit(1);
}

class Timer {
 public:
  double Seconds() const { return absl::ToDoubleSeconds(absl::Now() - start_); }

 private:
  const absl::Time start_ = absl::Now();
};

double RawSeconds(const std::string& path, const std::vector<char>& bytes) {
  std::filesystem::remove(path);
  const Timer timer;
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
  for (size_t done = 0; fd >= 0 && done < bytes.size();) {
    const ssize_t n = write(fd, bytes.data() + done, bytes.size() - done);
    if (n <= 0) std::exit(1);
    done += static_cast<size_t>(n);
  }
  if (fd < 0 || fsync(fd) != 0 || close(fd) != 0) std::exit(1);
  return timer.Seconds();
}

class Benchmark {
 public:
  explicit Benchmark(std::string folder) : folder_(std::move(folder)) {
    options_.model = Model();
    options_.config.set_algorithm(TrainerConfig::ALGORITHM_SUPERVISED);
    options_.config.mutable_checkpoint()->set_keep_last(1);
    groups_ = RankGroups::Make(communicator_.get(), options_.config.sharding()).value();
    options_.groups = groups_.get();
    update_ = std::make_unique<PolicyUpdate>(options_);
    const TensorSource initial = RandomTensors(options_.model, 1, 2);
    CheckOk(update_->Initialize(&initial));
    num_bytes_ = 12 * ParameterLayout(options_.model, HeadKind::kLanguageModel).num_parameters();
    from_.assign(num_bytes_, 1);
    to_.assign(num_bytes_, 2);
  }

  json Run(int rounds) {
    json result = {{"bytes", num_bytes_}};
    for (int round = 0; round < rounds; ++round) {
      result["memcpy_s"].push_back(MemcpySeconds());
      const auto [stall_s, save_s] = Save(round);
      result["stall_s"].push_back(stall_s);
      result["save_s"].push_back(save_s);
      result["raw_s"].push_back(RawSeconds(folder_ + "/raw", from_));
      DropFromCache(round);
      result["cold_raw_s"].push_back(RawReadSeconds(round));
      DropFromCache(round);
      result["cold_load_s"].push_back(Load(round));
      result["load_s"].push_back(Load(round));
    }
    return result;
  }

 private:
  double MemcpySeconds() {
    const Timer timer;
    std::memcpy(to_.data(), from_.data(), num_bytes_);
    return timer.Seconds();
  }

  std::pair<double, double> Save(int64_t step) {
    CheckpointTexts texts;
    texts.manifest.set_step(step);
    texts.manifest.set_num_ranks(1);
    texts.texts["policy/config.json"] = ModelConfigToJson(options_.model, "float32");
    CheckOk(saver_.Prepare(step, update_->SavedModels()));
    const Timer timer;
    CheckOk(saver_.Start(step, update_->Share(copy_), texts));
    const double stall_s = timer.Seconds();
    // Then the one before is removed, which is none of the saving.
    const CheckpointStore store(FileSystem::Posix(), folder_, {});
    while (!saver_.IsIdle() && !FileSystem::Posix().Exists(store.FolderOf(step))) {
      absl::SleepFor(absl::Microseconds(200));
    }
    const double save_s = timer.Seconds();
    CheckOk(saver_.Wait());
    return {stall_s, save_s};
  }

  // For each file of a checkpoint, opened to be read.
  void ForEachFile(int64_t step, absl::FunctionRef<void(int)> body) {
    const CheckpointStore store(FileSystem::Posix(), folder_, {});
    for (const auto& entry : std::filesystem::recursive_directory_iterator(store.FolderOf(step))) {
      if (!entry.is_regular_file()) continue;
      const int fd = open(entry.path().c_str(), O_RDONLY);
      if (fd < 0) std::exit(1);
      body(fd);
      close(fd);
    }
  }

  void DropFromCache(int64_t step) {
    ForEachFile(step, [](int fd) {
      if (posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0) std::exit(1);
    });
  }

  double RawReadSeconds(int64_t step) {
    std::vector<char> buffer(8 << 20);
    const Timer timer;
    ForEachFile(step, [&](int fd) {
      ssize_t count = 0;
      while ((count = read(fd, buffer.data(), buffer.size())) > 0) {
      }
      if (count < 0) std::exit(1);
    });
    return timer.Seconds();
  }

  double Load(int64_t step) {
    const CheckpointStore store(FileSystem::Posix(), folder_, {});
    const Timer timer;
    auto reader = CheckpointReader::OpenWhole(FileSystem::Posix(), store.FolderOf(step),
                                              at::get_num_threads());
    CheckOk(reader.status());
    CheckOk(update_->Restore(**reader));
    return timer.Seconds();
  }

  const std::string folder_;
  const std::unique_ptr<Communicator> communicator_ = NewLocalCommunicator();
  UpdateOptions options_;
  std::unique_ptr<RankGroups> groups_;
  std::unique_ptr<PolicyUpdate> update_;
  HostCopy copy_{HostCopy::Mode::kCopy};
  CheckpointSaver saver_{{.files = &FileSystem::Posix(), .folder = folder_, .model = Model()}};
  size_t num_bytes_ = 0;
  std::vector<char> from_, to_;
};

}  // namespace
}  // namespace routewright

int main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "usage: checkpoint_benchmark FOLDER ROUNDS\n"), 2;
  at::set_num_threads(2);
  std::filesystem::create_directories(argv[1]);
  const auto result = routewright::Benchmark(argv[1]).Run(std::atoi(argv[2]));
  std::printf("%s\n", result.dump(2).c_str());
  return 0;
}
