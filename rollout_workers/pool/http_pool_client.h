// The pool client over HTTP: OpenAI chat completions, streamed, through libcurl's multi interface.
// One thread of its own drives every transfer; callers only queue and take. Deadlines, retries and
// concurrency are PoolConfig's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/file_system.h"
#include "common/money/pool_budget.h"
#include "proto/config.pb.h"
#include "rollout_workers/pool/pool_client.h"

namespace routewright {

struct HttpPoolClientOptions {
  std::string ledger_folder;                 // made if need be; as PoolLedger
  FileSystem* files = &FileSystem::Posix();  // must outlive the client
  uint64_t seed = 0;                         // of the retry jitter
  // Counts tokens where an endpoint reports no usage, or an absurd one. Called on the client's
  // thread. Unset: one token per four bytes, rounded up.
  std::function<int64_t(std::string_view)> count_tokens;
  std::shared_ptr<PoolBudget> budget;  // once it is spent no attempt is started; null: no limit
};

// Checks every model first: kInvalidArgument for a bad base_url, an unset ${NAME} in it, or a name
// or alias twice; LoadSecret's errors for a key that is missing or readable by others; the file
// system's for the ledger.
absl::StatusOr<std::unique_ptr<PoolClient>> MakeHttpPoolClient(const PoolConfig& config,
                                                               HttpPoolClientOptions options);

}  // namespace routewright
