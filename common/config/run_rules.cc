#include "common/config/run_rules.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace routewright {
namespace {

namespace pb = google::protobuf;

// Whether the file or an override set the field at a full key such as
// "pool_emulator.models.0.latency_sigma".
bool IsSet(const pb::Message& config, const std::string& key) {
  const pb::Message* message = &config;
  const std::vector<std::string> parts = absl::StrSplit(key, '.');
  for (size_t i = 0; i < parts.size(); ++i) {
    const pb::FieldDescriptor* field = message->GetDescriptor()->FindFieldByName(parts[i]);
    const pb::Reflection& read = *message->GetReflection();
    const bool is_set =
        field->is_repeated() ? read.FieldSize(*message, field) > 0 : read.HasField(*message, field);
    if (!is_set || i + 1 == parts.size()) return is_set;
    message = field->is_repeated()
                  ? &read.GetRepeatedMessage(*message, field, std::stoi(parts[++i]))
                  : &read.GetMessage(*message, field);
  }
  return true;
}

void CheckRun(const RunSettings& run, std::vector<std::string>& violations) {
  const std::string& name = run.name();
  if (name == "." || name == ".." || name.find('/') != std::string::npos) {
    violations.push_back(absl::StrCat("run.name: '", name, "' is not a folder's name"));
  }
  for (const auto& [key, text] :
       {std::pair{"run.name", &name}, {"run.output_dir", &run.output_dir()}}) {
    if (std::any_of(text->begin(), text->end(), absl::ascii_iscntrl)) {
      violations.push_back(absl::StrCat(key, ": holds a control character, such as a line's end"));
    }
  }
  if (run.output_dir().empty())
    violations.push_back("run.output_dir: is empty: name a folder, such as runs");
}

void CheckEpisode(const EpisodeConfig& episode, std::vector<std::string>& violations) {
  const int prompt = episode.max_prompt_tokens(), sequence = episode.max_sequence_tokens();
  if (prompt < sequence) return;
  violations.push_back(absl::StrCat("episode.max_prompt_tokens: ", prompt,
                                    " leaves no room in max_sequence_tokens (", sequence,
                                    "), the whole episode's limit"));
}

}  // namespace

std::vector<std::string> RunRuleViolations(const RunConfig& config) {
  std::vector<std::string> violations;
  for (const auto& [key, why] : UnusedKeysOf(config)) {
    if (IsSet(config, key))
      violations.push_back(absl::StrCat(key, ": is set, but not used: ", why,
                                        ": remove it (or --set ", key, "=null)"));
  }
  if (config.has_run()) CheckRun(config.run(), violations);
  if (config.has_episode()) CheckEpisode(config.episode(), violations);
  if (config.has_pool()) CheckPoolRules(config.pool(), violations);
  if (config.has_pool_emulator()) CheckEmulatorRules(config.pool_emulator(), violations);
  if (config.has_trainer()) CheckTrainerRules(config, violations);
  return violations;
}

}  // namespace routewright
