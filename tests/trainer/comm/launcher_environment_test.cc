#include "trainer/comm/launcher_environment.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <map>
#include <string>

namespace routewright {
namespace {

// The variables that launchers set, and none but those that are given.
class LauncherEnvironmentTest : public ::testing::Test {
 protected:
  void Set(const std::map<std::string, std::string>& variables) {
    for (const char* name : {"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "PMI_SIZE", "PMI_RANK",
                             "PMIX_SIZE", "PMIX_RANK", "SLURM_STEP_NUM_TASKS"}) {
      unsetenv(name);
    }
    for (const auto& [name, value] : variables) setenv(name.c_str(), value.c_str(), 1);
  }
};

TEST_F(LauncherEnvironmentTest, AloneWithoutALauncher) {
  Set({});
  EXPECT_EQ(LauncherSize(), 1);
  EXPECT_EQ(LauncherRank(), 0);
}

TEST_F(LauncherEnvironmentTest, EveryLauncherIsUnderstood) {
  Set({{"OMPI_COMM_WORLD_SIZE", "4"}, {"PMIX_RANK", "3"}});  // OpenMPI's mpirun
  EXPECT_EQ(LauncherSize(), 4);
  EXPECT_EQ(LauncherRank(), 3);
  Set({{"PMI_SIZE", "2"}, {"PMI_RANK", "1"}});  // MPICH's
  EXPECT_EQ(LauncherSize(), 2);
  EXPECT_EQ(LauncherRank(), 1);
  Set({{"SLURM_STEP_NUM_TASKS", "8"}, {"PMIX_RANK", "5"}});  // srun --mpi=pmix
  EXPECT_EQ(LauncherSize(), 8);
  EXPECT_EQ(LauncherRank(), 5);
}

TEST_F(LauncherEnvironmentTest, AShellInsideOfASlurmJobIsNoRank) {
  Set({{"SLURM_STEP_NUM_TASKS", "8"}});
  EXPECT_EQ(LauncherSize(), 1);
  EXPECT_EQ(LauncherRank(), 0);
}

}  // namespace
}  // namespace routewright
