// An update's metrics under their names in metrics.jsonl. Pure; any thread.
#pragma once

#include "proto/config.pb.h"
#include "trainer/record/metrics.h"
#include "trainer/update/policy_update.h"

namespace routewright {

Metrics DescribeUpdate(const TrainerConfig& config, const UpdateMetrics& update,
                       double kl_coefficient);

}  // namespace routewright
