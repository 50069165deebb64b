// One value of a configuration by its key, as scripts want it. Pure; any thread.
#pragma once

#include <google/protobuf/message.h>

#include <string>

#include "absl/status/statusor.h"

namespace routewright {

// The value of "trainer.loss.clip_low": what is set, or its default. A text comes as it is, without
// quotes; a list's items and nothing else a line each; an unset value without default is "". List
// items are named by index, "pool.models.0.name". Fails: kInvalidArgument for a key that the schema
// has not, with the nearest one; for a section, and an index that is not there.
absl::StatusOr<std::string> ConfigValue(const google::protobuf::Message& config,
                                        const std::string& key);

}  // namespace routewright
