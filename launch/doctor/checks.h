// The table of doctor's checks, in the order in which it makes them.
#pragma once

#include <functional>

#include "launch/doctor/finding.h"
#include "proto/config.pb.h"

namespace routewright {

struct DoctorOptions {
  int ranks = 1;
  int ranks_per_host = 1;
  bool is_ranks_only = false;  // one of several hosts of ranks, without workers
  bool may_call_pool = true;   // every pool model once, which is paid for
};

// Makes every check that the options ask for. `on_findings` gets those of one check as soon as they
// are known. Writes nothing but doctor's own pool ledger and a file that it removes.
void RunChecks(const RunConfig& config, const DoctorOptions& options,
               const std::function<void(Findings)>& on_findings);

}  // namespace routewright
