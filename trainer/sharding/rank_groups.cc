#include "trainer/sharding/rank_groups.h"

#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/network_address.h"
#include "common/random.h"
#include "common/status_macros.h"
#include "trainer/comm/local_communicator.h"

namespace routewright {
namespace {

// Per rank, the lowest rank of its host.
absl::StatusOr<std::vector<int>> FirstRanksOfHosts(Communicator& world, const std::string& host) {
  std::vector<int64_t> keys(world.size());
  auto mine = static_cast<int64_t>(StreamKey(/*seed=*/0, host, /*stream=*/0));
  RW_RETURN_IF_ERROR(
      world
          .AllGather("hosts", {.data = &mine, .num_elements = 1, .type = CommType::kInt64},
                     {.data = keys.data(), .num_elements = world.size(), .type = CommType::kInt64})
          ->Wait());
  std::map<int64_t, int> first_of_key;
  std::vector<int> first(world.size());
  for (int r = 0; r < world.size(); ++r) first[r] = first_of_key.emplace(keys[r], r).first->second;
  return first;
}

}  // namespace

absl::StatusOr<std::unique_ptr<RankGroups>> RankGroups::Make(Communicator* world,
                                                             const ShardingConfig& config,
                                                             const std::string& host_name) {
  auto groups = std::unique_ptr<RankGroups>(new RankGroups(world));
  if (config.within_host() && config.stage() != ShardingConfig::STAGE_REPLICATED) {
    RW_RETURN_IF_ERROR(groups->SplitByHost(host_name.empty() ? HostName() : host_name));
    return groups;
  }
  groups->alone_ = NewLocalCommunicator();
  const bool is_replicated = config.stage() == ShardingConfig::STAGE_REPLICATED;
  groups->shard_ = is_replicated ? groups->alone_.get() : world;
  groups->replica_ = is_replicated ? world : groups->alone_.get();
  return groups;
}

absl::Status RankGroups::SplitByHost(const std::string& host_name) {
  RW_ASSIGN_OR_RETURN(const std::vector<int> first, FirstRanksOfHosts(*world_, host_name));
  std::map<int, int> ranks_of_host;
  int place = 0;  // of this rank on its host
  for (int r = 0; r < world_->size(); ++r) {
    if (r < world_->rank() && first[r] == first[world_->rank()]) ++place;
    ++ranks_of_host[first[r]];
  }
  std::vector<int> counts;
  bool is_even = true;
  for (const auto& [host, count] : ranks_of_host) {
    counts.push_back(count);
    is_even = is_even && count == counts[0];
  }
  if (!is_even) {
    return absl::InvalidArgumentError(absl::StrCat(
        "trainer.sharding.within_host needs as many ranks on each host; the hosts have ",
        absl::StrJoin(counts, ", "), ": start an equal number, or turn it off"));
  }
  RW_ASSIGN_OR_RETURN(shard_of_host_, world_->Split("shard_group", first[world_->rank()]));
  RW_ASSIGN_OR_RETURN(replica_of_host_, world_->Split("replica_group", place));
  shard_ = shard_of_host_.get();
  replica_ = replica_of_host_.get();
  return absl::OkStatus();
}

}  // namespace routewright
