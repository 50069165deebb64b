#include "trainer/loop/run_environment.h"

#include <google/protobuf/stubs/common.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <torch/version.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "trainer/comm/libraries.h"

namespace routewright {
namespace {

// What stands behind the first `separator` of the first line of `path` that begins with `key`.
std::string ValueIn(const std::string& path, const std::string& key, char separator) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!absl::StartsWith(line, key)) continue;
    const size_t at = line.find(separator);
    if (at == std::string::npos) continue;
    std::string value(absl::StripAsciiWhitespace(line.substr(at + 1)));
    std::erase(value, '"');
    return value;
  }
  return "";
}

std::vector<std::string> GpuNames() {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/driver/nvidia/gpus", error)) {
    const std::string name = ValueIn((entry.path() / "information").string(), "Model", ':');
    if (!name.empty()) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string ProtobufVersion() {
  return absl::StrCat("Protobuf ",
                      google::protobuf::internal::VersionString(GOOGLE_PROTOBUF_VERSION));
}

}  // namespace

nlohmann::ordered_json DescribeEnvironment(const EnvironmentFacts& facts) {
  nlohmann::ordered_json json = {{"code_version", facts.code_version}};
  utsname system = {};
  if (uname(&system) == 0) {
    json["host"] = system.nodename;
    const std::string name = ValueIn("/etc/os-release", "PRETTY_NAME=", '=');
    json["system"] = absl::StrCat(name, name.empty() ? "" : ", ", system.sysname, " ",
                                  system.release, ", ", system.machine);
  }
  const std::string processor = ValueIn("/proc/cpuinfo", "model name", ':');
  if (!processor.empty()) json["processor"] = processor;
  json["cores"] = std::thread::hardware_concurrency();
  struct sysinfo memory = {};
  if (sysinfo(&memory) == 0) {
    json["memory_gib"] = static_cast<double>(memory.totalram) * memory.mem_unit / (1 << 30);
  }
  json["devices"] = facts.is_on_gpu ? GpuNames() : std::vector<std::string>{"CPU"};
  json["ranks"] = facts.num_ranks;
  json["libraries"] = {absl::StrCat("LibTorch ", TORCH_VERSION), MpiLibraryVersion(),
                       ProtobufVersion()};
  if (const std::string nccl = NcclLibraryVersion(); !nccl.empty()) {
    json["libraries"].push_back(nccl);
  }
  for (const std::string& library : facts.libraries) json["libraries"].push_back(library);
  json["started"] = absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::Now(), absl::UTCTimeZone());
  return json;
}

}  // namespace routewright
