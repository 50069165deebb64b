#include "common/config/config_changes.h"

#include <google/protobuf/util/message_differencer.h>

#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/config/config_loader.h"
#include "common/status_macros.h"

namespace routewright {

absl::StatusOr<std::vector<std::string>> ConfigChanges(const std::string& before_yaml,
                                                       const RunConfig& now) {
  RunConfig before, written_out;
  RW_RETURN_IF_ERROR(ParseConfigYaml(before_yaml, "config.resolved.yaml", {}, before));
  RW_RETURN_IF_ERROR(ParseConfigYaml(ConfigToYaml(now), "this run's settings", {}, written_out));
  std::string differences;
  google::protobuf::util::MessageDifferencer differencer;
  differencer.ReportDifferencesToString(&differences);
  differencer.Compare(before, written_out);
  std::vector<std::string> changes;
  for (absl::string_view line : absl::StrSplit(differences, '\n', absl::SkipEmpty())) {
    absl::ConsumePrefix(&line, "modified: ");  // the others are "added: …", "deleted: …"
    changes.emplace_back(line);
  }
  return changes;
}

}  // namespace routewright
