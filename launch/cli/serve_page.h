// The page about a running training, as its config says: announced on stdout and in
// the run's folder. Rank 0.
#pragma once

#include <cstdio>
#include <memory>

#include "absl/status/statusor.h"
#include "proto/config.pb.h"
#include "trainer/live_page/live_state.h"
#include "trainer/live_page/page_server.h"

namespace routewright {

// <run>/live_page.url holds the URL, also after the run, so that its next learner takes the same
// port if it can. nullptr: trainer.live_page.serve is false, or the address can't be had, which
// is warned of: training goes on without the page. Fails: a UsageError if the token can't be
// read or could be guessed.
absl::StatusOr<std::unique_ptr<PageServer>> ServePage(const RunConfig& config, LiveState* state,
                                                      std::FILE* out);

}  // namespace routewright
