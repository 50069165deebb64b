// What a run reads and whom it calls: policy, prompt, data, keys, pool. Nothing is changed but the
// ledger, where the calls that are made to find out are written like any others.
#pragma once

#include "launch/doctor/finding.h"
#include "proto/config.pb.h"

namespace routewright {

Findings CheckPolicy(const RunConfig& config);
// Also whether tokenizer and prompt fit together, and the questions' prompts are short enough.
Findings CheckData(const RunConfig& config);
// Address, key and prices of every pool model, without a call.
Findings CheckEndpoints(const RunConfig& config);
// Whether the token of the run's page can be had.
Findings CheckLivePage(const RunConfig& config);
// One short call to each model, all at once, none retried: it costs what the endpoint says.
Findings ProbePool(const RunConfig& config);

}  // namespace routewright
