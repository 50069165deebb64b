// Which checkpoint a run goes on from: rank 0 proposes, every rank checks a part of its files,
// and all take the same one.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/file_system.h"
#include "proto/config.pb.h"
#include "trainer/checkpoint/checkpoint_reader.h"
#include "trainer/comm/communicator.h"

namespace routewright {

// Where a start was told to begin, as LearnerParts says.
struct ResumeRequest {
  std::string resume = "auto";
  std::string submission = "";
};

// Collective. A request that this submission has carried out already is "auto". nullptr on every
// rank: the run starts from nothing. With "auto" a damaged checkpoint is logged with file and
// tensor, renamed to damaged-step-…, and the one before it is tried. Fails on every rank: kDataLoss
// if all are damaged, or the one that was named is; kNotFound; as the collectives do.
absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenCheckpoint(FileSystem& files,
                                                                 Communicator& communicator,
                                                                 const RunConfig& config,
                                                                 const ResumeRequest& request);

}  // namespace routewright
