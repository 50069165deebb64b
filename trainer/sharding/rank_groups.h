// The ranks of a run as sharding sees them: a shard group, whose ranks hold one share each of every
// block, and a replica group, the ranks that hold the same share. Each rank is in one of each, and
// world = shard groups × replica groups:
//
//   stage replicated     shard = this rank alone    replica = all ranks
//   any other stage      shard = all ranks          replica = this rank alone
//     … within_host      shard = this host's ranks  replica = the ranks of this place on every host
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "proto/config.pb.h"
#include "trainer/comm/communicator.h"

namespace routewright {

class RankGroups {
 public:
  // Collective: every rank of `world`, which must outlive the groups. Ranks with the same
  // `host_name` share a host; empty: this machine's name. Fails: kInvalidArgument naming the hosts
  // if within_host is asked for and they have different numbers of ranks; as the collectives do.
  static absl::StatusOr<std::unique_ptr<RankGroups>> Make(Communicator* world,
                                                          const ShardingConfig& config,
                                                          const std::string& host_name = "");

  Communicator& world() const { return *world_; }
  Communicator& shard() const { return *shard_; }
  Communicator& replica() const { return *replica_; }

 private:
  explicit RankGroups(Communicator* world) : world_(world) {}
  absl::Status SplitByHost(const std::string& host_name);

  Communicator* const world_;
  std::unique_ptr<Communicator> alone_;  // where a group is this rank alone
  std::unique_ptr<Communicator> shard_of_host_, replica_of_host_;
  Communicator* shard_ = nullptr;
  Communicator* replica_ = nullptr;
};

}  // namespace routewright
