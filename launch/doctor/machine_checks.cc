#include "launch/doctor/machine_checks.h"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "common/config/algorithm_facts.h"
#include "common/config/config_loader.h"
#include "common/file_system.h"
#include "common/network_address.h"
#include "common/status_macros.h"
#include "launch/plan/memory_fit.h"
#include "launch/plan/run_description.h"
#include "policy/formats/policy_folder.h"
#include "policy/model/parameter_layout.h"
#include "trainer/algorithm/update_passes.h"
#include "trainer/comm/libraries.h"
#include "trainer/update/device.h"

namespace routewright {
namespace {

constexpr int64_t kProbeBytes = int64_t{64} << 20;
constexpr double kSlowBytesPerS = 50e6;

// What a command prints; nullopt if it cannot be run or fails. Only fixed command lines.
std::optional<std::string> Output(const char* command) {
  std::FILE* pipe = popen(command, "r");
  if (pipe == nullptr) return std::nullopt;
  std::string text;
  std::array<char, 4096> buffer;
  while (const size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    text.append(buffer.data(), n);
  }
  return pclose(pipe) == 0 ? std::optional(text) : std::nullopt;
}

std::string FirstLine(const std::string& text) { return text.substr(0, text.find('\n')); }

struct AddressInfo {
  addrinfo* list = nullptr;
  ~AddressInfo() {
    if (list != nullptr) freeaddrinfo(list);
  }
};

// The numeric addresses of a name; empty if it has none.
std::vector<std::string> Resolve(const std::string& name) {
  AddressInfo info;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  if (getaddrinfo(name.c_str(), nullptr, &hints, &info.list) != 0) return {};
  std::vector<std::string> addresses;
  for (const addrinfo* entry = info.list; entry != nullptr; entry = entry->ai_next) {
    char text[NI_MAXHOST] = "";
    if (getnameinfo(entry->ai_addr, entry->ai_addrlen, text, sizeof(text), nullptr, 0,
                    NI_NUMERICHOST) == 0) {
      addresses.emplace_back(text);
    }
  }
  return addresses;
}

// Nothing else listens there, and it is an address of this host; else errno says why.
bool CanListen(const std::string& host, const std::string& port) {
  AddressInfo info;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  const std::string bare(absl::StripSuffix(absl::StripPrefix(host, "["), "]"));
  if (getaddrinfo(bare.empty() ? nullptr : bare.c_str(), port.c_str(), &hints, &info.list) != 0) {
    errno = EINVAL;
    return false;
  }
  const int fd = socket(info.list->ai_family, SOCK_STREAM, 0);
  if (fd < 0) return false;
  const int yes = 1;  // connections of an earlier learner may still be closing
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  const bool can = bind(fd, info.list->ai_addr, info.list->ai_addrlen) == 0 && listen(fd, 1) == 0;
  const int error = errno;
  close(fd);
  errno = error;
  return can;
}

std::string Size(double bytes) {
  return bytes < 1e9 ? absl::StrFormat("%.1f MB", bytes / 1e6)
                     : absl::StrFormat("%.1f GB", bytes / 1e9);
}

// The folder itself, or the nearest above it that is there.
std::filesystem::path NearestFolder(const std::string& path) {
  std::filesystem::path folder = std::filesystem::absolute(path);
  std::error_code error;
  while (!std::filesystem::exists(folder, error) && folder.has_relative_path()) {
    folder = folder.parent_path();
  }
  return folder;
}

// Of all files below a folder, in bytes; 0 if there is none.
double SizeOf(const std::string& folder) {
  double size = 0;
  std::error_code error;
  std::filesystem::recursive_directory_iterator entry(folder, error), end;
  for (; !error && entry != end; entry.increment(error)) {
    std::error_code none;
    const auto bytes = entry->is_regular_file(none) ? entry->file_size(none) : 0;
    if (!none) size += static_cast<double>(bytes);
  }
  return size;
}

// Bytes per second of a file that is written, synced and removed.
absl::StatusOr<double> WriteSpeed(const std::string& folder) {
  FileSystem& files = FileSystem::Posix();
  const std::string path = absl::StrCat(folder, "/.doctor-", getpid());
  const std::string piece(size_t{1} << 20, 's');
  const absl::Time start = absl::Now();
  const absl::Status status = [&]() -> absl::Status {
    RW_ASSIGN_OR_RETURN(const auto file, files.OpenForBulkWrite(path));
    for (int64_t done = 0; done < kProbeBytes; done += piece.size()) {
      RW_RETURN_IF_ERROR(file->Append(piece));
    }
    RW_RETURN_IF_ERROR(file->Sync());
    return file->Close();
  }();
  const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
  files.RemoveAll(path).IgnoreError();
  if (!status.ok()) return status;
  return static_cast<double>(kProbeBytes) / seconds;
}

}  // namespace

Findings CheckLauncher() {
  const std::string linked = MpiLibraryVersion();
  // The launchers run from the repository's root.
  const std::string find =
      "m=${ROUTEWRIGHT_MPIRUN:-.venv/bin/mpirun}; [ -x \"$m\" ] || m=mpirun; \"$m\" ";
  const auto version = Output((find + "--version 2>/dev/null").c_str());
  Findings findings;
  if (!version.has_value()) {
    return {Warning("mpi", absl::StrCat("no mpirun is found; the program links ", linked),
                    "run launch/build.sh, or load your site's MPI module; one rank needs none")};
  }
  const std::string found = FirstLine(*version);
  const size_t number = found.find_last_of(' ');
  if (number != std::string::npos && !absl::StrContains(linked, found.substr(number + 1))) {
    return {Failure("mpi", absl::StrCat(found, ", but the program links ", linked),
                    "start ranks with the mpirun that belongs to the library")};
  }
  const bool has_ulfm = Output((find + "--with-ft ulfm --version 2>/dev/null").c_str()).has_value();
  if (has_ulfm) return {Ok("mpi", absl::StrCat(found, ", which reports lost ranks"))};
  return {Warning("mpi", absl::StrCat(found, ", without fault tolerance (ULFM)"),
                  "a lost rank will be noticed by its deadline only: build Open MPI 5 with ULFM")};
}

Findings CheckDevices(const RunConfig& config, int ranks) {
  const auto is_on_gpu = IsOnGpu(config);
  if (!is_on_gpu.ok()) {
    return {Failure("gpu", std::string(is_on_gpu.status().message()),
                    absl::StrCat(NcclLibraryVersion().empty()
                                     ? "this program was built without CUDA: launch/build.sh "
                                       "--with-cuda builds it with; "
                                     : "",
                                 "submit to a node with GPUs, or set policy.device: cpu"))};
  }
  if (!*is_on_gpu) {
    return {Ok("gpu", config.policy().device() == PolicyConfig::DEVICE_CPU
                          ? "not asked for: the policy trains on the CPU"
                          : "none that can be used: the policy trains on the CPU")};
  }
  Findings findings;
  const auto list = Output(
      "nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader 2>/dev/null");
  int gpus = 0;
  for (absl::string_view line : absl::StrSplit(list.value_or(""), '\n', absl::SkipEmpty())) {
    findings.push_back(Ok(absl::StrCat("gpu ", gpus++), std::string(line)));
  }
  if (ranks > 1 && gpus > 0 && ranks > gpus) {
    findings.push_back(Failure("gpu", absl::StrFormat("%d ranks for %d GPUs", ranks, gpus),
                               "start one rank for each GPU: NCCL takes no two on one"));
  }
  const std::string nccl = NcclLibraryVersion();
  findings.push_back(nccl.empty() ? Failure("nccl", "this build has none",
                                            "build where nvcc is found, or set policy.device: cpu")
                                  : Ok("nccl", nccl));
  return findings;
}

Findings CheckNetwork(const RunConfig& config, bool is_one_of_several) {
  if (FactsOf(config.trainer()).learns_from_demonstrations()) return {};
  Findings findings;
  const std::string& address = config.trainer().rollout_service().listen_address();
  const size_t colon = address.rfind(':');
  const std::string host = address.substr(0, colon), port = address.substr(colon + 1);
  const bool can = CanListen(host, port);
  if (!can && is_one_of_several && errno == EADDRNOTAVAIL) return {};  // another host's
  findings.push_back(
      can ? Ok("port", absl::StrCat("the learner can listen on ", address))
          : Failure("port", absl::StrCat("the learner cannot listen on ", address),
                    "set trainer.rollout_service.listen_address to an address of this host and a "
                    "free port; port 0 picks one"));
  if (IsLoopbackHost(host)) {
    findings.push_back(Ok("host", "workers of this machine only: the learner listens on loopback"));
    return findings;
  }
  const std::string name = HostName();
  const std::vector<std::string> addresses = Resolve(name);
  const bool is_reachable =
      std::any_of(addresses.begin(), addresses.end(), std::not_fn(IsLoopbackHost));
  if (is_reachable) {
    findings.push_back(Ok("host", absl::StrCat("workers will be told ", name)));
  } else {
    findings.push_back(
        Warning("host",
                absl::StrCat(name, addresses.empty() ? " has no address here"
                                                     : " is an address of loopback here"),
                "workers elsewhere are told this name: see that it resolves there, or listen on an "
                "address instead of 0.0.0.0"));
  }
  return findings;
}

Findings CheckDisk(const RunConfig& config) {
  const std::filesystem::path folder = NearestFolder(RunFolder(config));
  struct statvfs info {};
  if (statvfs(folder.c_str(), &info) != 0) {
    return {
        Failure("disk", absl::StrCat(folder.string(), " cannot be read"), "mend run.output_dir")};
  }
  const double free = static_cast<double>(info.f_bavail) * static_cast<double>(info.f_frsize);
  const auto speed = WriteSpeed(folder);
  if (!speed.ok()) {
    return {Failure("disk", std::string(speed.status().message()),
                    "run.output_dir must be a folder that you can write to")};
  }
  const auto model = LoadModelConfig(config.policy().path());
  if (!model.ok()) return {};  // CheckPolicy says so
  const CheckpointConfig& checkpoint = config.trainer().checkpoint();
  const double one =
      12.0 *
      static_cast<double>(ParameterLayout(*model, HeadKind::kLanguageModel).num_parameters()) *
      (HasCritic(config.trainer()) ? 2 : 1);
  const double most = one * (checkpoint.keep_last() + checkpoint.keep_best() + 1);
  const std::string text =
      absl::StrFormat("%s: %s free at %s/s; a checkpoint takes %s and %.1f s", folder.string(),
                      Size(free), Size(*speed), Size(one), one / *speed);
  // Those that are there have their room already, and go as new ones come.
  if (free + SizeOf(RunFolder(config) + "/checkpoints") < most) {
    return {Failure("disk", absl::StrCat(text, ", and up to ", Size(most), " are kept"),
                    "free space there, or lower trainer.checkpoint.keep_last and keep_best")};
  }
  if (*speed < kSlowBytesPerS) {
    return {Warning("disk", text, "this is slow: is run.output_dir on the right file system?")};
  }
  return {Ok("disk", text)};
}

Findings CheckMemory(const RunConfig& config, int ranks, int ranks_per_host) {
  const auto fit = DescribeMisfit(
      config, {.ranks = ranks, .ranks_per_host = std::min(ranks, ranks_per_host), .device = ""});
  if (!fit.ok()) return {};  // what it needs is checked above
  if (fit->empty()) {
    Findings findings = {Ok("memory", absl::StrFormat("%d ranks fit their devices", ranks))};
    const auto beside = DescribeHostMisfit(
        config, {.ranks = ranks, .ranks_per_host = std::min(ranks, ranks_per_host), .device = ""});
    if (beside.ok() && !beside->empty()) {
      findings.push_back(Warning("host memory", *beside,
                                 "if the ranks' hosts have no more than this one: fewer ranks a "
                                 "host, less trainer.sharding.offload, or "
                                 "trainer.checkpoint.asynchronous: false"));
    }
    return findings;
  }
  return {Failure("memory", *fit, "change what it names; `train --dry-run` says more")};
}

}  // namespace routewright
