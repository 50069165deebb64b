// The main function of a test that runs as several MPI ranks.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "trainer/comm/communicator.h"

namespace routewright {

// Runs all tests with `world` set to the ranks' communicator, whose collectives may take a minute
// unless `config` says otherwise; a rank whose check failed ends all.
inline int RunAsRanks(int argc, char** argv, Communicator*& world, CommunicatorConfig config = {}) {
  testing::InitGoogleTest(&argc, argv);
  if (!config.has_deadline_s()) config.set_deadline_s(60);
  auto made = NewCommunicator(config, /*is_on_gpu=*/false);
  if (!made.ok()) {
    std::fprintf(stderr, "%s\n", std::string(made.status().message()).c_str());
    return 1;
  }
  world = made->get();
  const int result = RUN_ALL_TESTS();
  if (result != 0) (*made)->Abort(absl::InternalError("a check failed"));
  return result;
}

}  // namespace routewright
