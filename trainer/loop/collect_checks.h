// What rank 0 looks after while a step's episodes come in, which may take long: the ranks that wait for it, whose folder
// the run is, the budget, what people see, and whether a stop was asked for. One thread.
#pragma once

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/money/pool_budget.h"
#include "trainer/experience/trajectory_source.h"
#include "trainer/loop/followers.h"
#include "trainer/loop/learner.h"
#include "trainer/record/progress.h"
#include "trainer/record/run_folder.h"

namespace routewright {

class CollectChecks {
 public:
  // All must outlive this object.
  CollectChecks(const LearnerParts& parts, const RunFolderFiles* folder, Followers* followers);

  // What a learner knows to be spent counts, should its ledgers lie where this process cannot see
  // them (yet). Fails as PoolBudget does.
  absl::Status CheckBudget(int64_t known_picousd);
  const PoolBudget& budget() const { return budget_; }

  // While step `step` is collected: whether to wait on. False: a fault that CheckBudget, the folder
  // or the communicator gives, which `fault` then holds; or a stop signal, `fault` being OK, for
  // which workers are waited for trainer.checkpoint.stop_wait_s at most.
  // `progress_line`: or nullptr.
  bool GoesOn(int64_t step, int64_t known_picousd, const CollectProgress& progress,
              Progress* progress_line, absl::Status& fault);

 private:
  absl::Status KeepFollowersWaiting();
  absl::Status CheckOwner();
  void Show(int64_t step, const CollectProgress& progress, Progress* progress_line) const;
  bool HasPatience(const CollectProgress& progress);

  const LearnerParts& parts_;
  const RunFolderFiles& folder_;
  Followers& followers_;
  PoolBudget budget_;
  absl::Time last_owner_check_ = absl::InfinitePast();
  absl::Time stop_seen_ = absl::InfiniteFuture();
};

}  // namespace routewright
