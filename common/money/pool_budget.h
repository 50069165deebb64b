// What a run's pool calls have cost, and whether that is all that they may. The ledger in the run's
// folder has every paid call of every process that worked for the run, ever: learners that were
// started again, episodes that came to nothing, evaluations. So a restart has no budget of its own.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "proto/config.pb.h"

namespace routewright {

// The sum of a ledger's lines, kept up to date by reading what was appended. One thread.
class LedgerTotal {
 public:
  explicit LedgerTotal(std::string folder) : folder_(std::move(folder)) {}

  // In pico-dollars, of all lines that are whole by now. No folder: 0. Fails: kDataLoss naming file
  // and line that say no cost; kUnavailable for a file that cannot be read.
  absl::StatusOr<int64_t> Update();

 private:
  struct File {
    int64_t num_bytes = 0;  // read, whole lines
    int64_t num_lines = 0;
    int64_t cost_picousd = 0;
  };
  absl::Status ReadOn(const std::string& path, File& file) const;

  const std::string folder_;
  std::map<std::string, File> files_;  // by name
};

// run.budget_usd. One thread.
class PoolBudget {
 public:
  // `clock` must outlive this object.
  explicit PoolBudget(const RunConfig& config, Clock* clock = &Clock::Real());

  // Without a budget every check is passed and nothing is read.
  bool is_limited() const { return limit_usd_ > 0; }
  // Looks at the ledger, at most once in kCheckEvery and a tenth of the time. `known_picousd` is
  // what the caller knows to be spent, should ledgers lie where this process cannot see them (yet).
  // Fails: kResourceExhausted once the budget is spent, saying how much and what to do; as
  // LedgerTotal does, since what cannot be counted must not be spent, but for a file system that
  // does not answer only after kPatience.
  absl::Status Check(int64_t known_picousd = 0);
  // Of the budget, when last looked: 0.5 is half of it.
  double used_share() const { return spent_usd_ / limit_usd_; }

  static constexpr absl::Duration kCheckEvery = absl::Seconds(1);
  static constexpr absl::Duration kPatience = absl::Minutes(1);

 private:
  const double limit_usd_;
  Clock* const clock_;
  LedgerTotal total_;
  double spent_usd_ = 0;
  absl::Time checked_ = absl::InfinitePast();
  absl::Time summed_ = absl::InfinitePast();  // the last check that could read everything
  absl::Duration pause_ = kCheckEvery;
  absl::Status status_;
};

}  // namespace routewright
