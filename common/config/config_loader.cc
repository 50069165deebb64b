#include "common/config/config_loader.h"

#include <cstdlib>
#include <filesystem>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/config/overrides.h"
#include "common/config/run_rules.h"
#include "common/config/tree_to_message.h"
#include "common/config/yaml_tree.h"
#include "common/config/yaml_writer.h"
#include "common/file_system.h"
#include "common/status_macros.h"
#include "proto/config_options.pb.h"

namespace routewright {
namespace {

absl::Status Violations(const std::vector<std::string>& violations) {
  if (violations.empty()) return absl::OkStatus();
  if (violations.size() == 1) return absl::InvalidArgumentError(violations[0]);
  return absl::InvalidArgumentError(absl::StrCat(
      violations.size(), " faults in the configuration:\n", absl::StrJoin(violations, "\n")));
}

absl::StatusOr<std::string> ReadConfigFile(const std::string& path, const char* flag) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (!error && size > kMaxConfigBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": over 1 MiB: a configuration is smaller"));
  }
  absl::StatusOr<std::string> text = FileSystem::Posix().Read(path);
  if (absl::IsNotFound(text.status())) {
    return absl::NotFoundError(
        absl::StrCat("there is no configuration file ", path, ": give ", flag, " another path"));
  }
  return text;
}

// "@FILE": the file's settings, laid over the tree.
void LayOverFile(const std::string& path, const google::protobuf::Descriptor& schema,
                 ConfigNode& root, std::vector<std::string>& violations) {
  const absl::StatusOr<std::string> yaml = ReadConfigFile(path, "--set @FILE");
  if (!yaml.ok()) {
    violations.emplace_back(yaml.status().message());
    return;
  }
  const size_t before = violations.size();
  ConfigNode file = ParseYamlTree(*yaml, path, /*is_file=*/true, violations);
  if (violations.size() > before || file.kind == ConfigNode::Kind::kNull) return;
  if (file.kind != ConfigNode::Kind::kMap) {
    violations.push_back(absl::StrCat(file.where, ": is no section: write key: value"));
    return;
  }
  if (root.kind == ConfigNode::Kind::kNull) root.kind = ConfigNode::Kind::kMap;
  LayOver(std::move(file), schema, root, violations);
}

// `~/` at the beginning of paths, at any depth, becomes the home folder; without $HOME it stays.
void ExpandHome(google::protobuf::Message& message) {
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == '\0') return;
  const auto expanded = [home](const std::string& path) {
    return path.starts_with("~/") ? home + path.substr(1) : path;
  };
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const auto* field : fields) {
    const int count = field->is_repeated() ? reflection.FieldSize(message, field) : 1;
    if (field->is_map()) continue;
    for (int i = 0; i < count; ++i) {
      if (field->cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) {
        ExpandHome(field->is_repeated() ? *reflection.MutableRepeatedMessage(&message, field, i)
                                        : *reflection.MutableMessage(&message, field));
      } else if (!field->options().GetExtension(is_path)) {
        continue;
      } else if (field->is_repeated()) {
        reflection.SetRepeatedString(&message, field, i,
                                     expanded(reflection.GetRepeatedString(message, field, i)));
      } else {
        reflection.SetString(&message, field, expanded(reflection.GetString(message, field)));
      }
    }
  }
}

}  // namespace

absl::Status ParseConfigYaml(const std::string& yaml, const std::string& origin,
                             std::span<const std::string> overrides,
                             google::protobuf::Message& message) {
  std::vector<std::string> violations;
  ConfigNode root = ParseYamlTree(yaml, origin, /*is_file=*/true, violations);
  for (const std::string& text : overrides) {
    if (text.starts_with('@')) {
      LayOverFile(text.substr(1), *message.GetDescriptor(), root, violations);
    } else {
      ApplyOverride(text, *message.GetDescriptor(), root, violations);
    }
  }
  FillMessage(root, message, violations);
  ExpandHome(message);
  return Violations(violations);
}

absl::StatusOr<RunConfig> LoadRunConfig(const std::string& path,
                                        std::span<const std::string> overrides) {
  RW_ASSIGN_OR_RETURN(const std::string yaml, ReadConfigFile(path, "--config"));
  RunConfig config;
  RW_RETURN_IF_ERROR(ParseConfigYaml(yaml, path, overrides, config));
  return config;
}

absl::Status ValidateRunConfig(const RunConfig& config) {
  return Violations(RunRuleViolations(config));
}

std::string ConfigToYaml(const google::protobuf::Message& message) {
  const auto* run = google::protobuf::DynamicCastToGenerated<RunConfig>(&message);
  return absl::StrCat(
      "# Defaults, file and --set together. Loads again to the same configuration.\n",
      WriteYaml(message, run == nullptr ? UnusedKeys() : UnusedKeysOf(*run)));
}

std::string RunFolder(const RunConfig& config) {
  return absl::StrCat(config.run().output_dir(), "/", config.run().name());
}

std::string LearnerAddressFile(const RunConfig& config) {
  return RunFolder(config) + "/learner.address";
}

std::string LearnerTokenFile(const RunConfig& config) {
  return RunFolder(config) + "/learner.token";
}

std::string PoolLedgerFolder(const RunConfig& config) {
  return absl::StrCat(RunFolder(config), "/pool_ledger");
}

}  // namespace routewright
