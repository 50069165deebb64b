// Loads a run's configuration: YAML onto a protobuf message by reflection, --set overrides, checks
// of type, range and required fields. All violations are reported at once, each with
// file:line:column, key and the nearest valid key.
#pragma once

#include <google/protobuf/message.h>

#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/config.pb.h"

namespace routewright {

// Defaults < file < overrides, one after the other ("trainer.loss.clip_low=0.3"; list items by index:
// "pool.models.0.output_price=1"; "@FILE": the settings of another file, in which null takes a key or
// a section back to its default). Fails: kNotFound without the file; kInvalidArgument listing
// every violation, one a line. Anchors, aliases, duplicate keys and files over 1 MiB are refused.
absl::StatusOr<RunConfig> LoadRunConfig(const std::string& path,
                                        std::span<const std::string> overrides);

// The same for any message, from text; `origin` names it in errors. Does not
// check cross-field rules.
absl::Status ParseConfigYaml(const std::string& yaml, const std::string& origin,
                             std::span<const std::string> overrides,
                             google::protobuf::Message& message);

// Cross-field rules of a whole run: a knob that the chosen set-up would ignore is an
// error. Lists every violation.
absl::Status ValidateRunConfig(const RunConfig& config);

// Every field with its value, defaults written out: what config.resolved.yaml holds, and
// loads again to the same.
std::string ConfigToYaml(const google::protobuf::Message& message);

// The run's folder: <output_dir>/<name>.
std::string RunFolder(const RunConfig& config);
// Where the run's learner writes its address, HOST:PORT: <run>/learner.address.
std::string LearnerAddressFile(const RunConfig& config);
// What a worker shows the run's learner, and where it is kept: <run>/learner.token.
std::string LearnerTokenFile(const RunConfig& config);
// Where every process that makes pool calls for the run has its ledger: <run>/pool_ledger.
std::string PoolLedgerFolder(const RunConfig& config);

}  // namespace routewright
