// On what a run runs: program, libraries, host, devices. For people who read its page or its report
// later; the run does not depend on it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace routewright {

struct EnvironmentFacts {
  std::string code_version;
  int num_ranks = 1;
  bool is_on_gpu = false;
  std::vector<std::string> libraries;  // besides LibTorch, MPI, NCCL and Protobuf: "gRPC 1.51.1"
};

// {"code_version","host","system","processor","cores","memory_gib","devices":[…],"ranks",
// "libraries":[…],"started"}. What cannot be found out is left out. Rank 0's host is described.
nlohmann::ordered_json DescribeEnvironment(const EnvironmentFacts& facts);

}  // namespace routewright
