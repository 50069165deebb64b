#include "common/config/config_value.h"

#include <google/protobuf/descriptor.h>

#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/config/schema.h"
#include "common/config/yaml_writer.h"

namespace routewright {
namespace {

namespace pb = google::protobuf;

std::string ScalarText(const pb::Message& message, const pb::FieldDescriptor& field, int index) {
  if (field.cpp_type() != pb::FieldDescriptor::CPPTYPE_STRING) {
    return ScalarToYaml(message, field, index);
  }
  const pb::Reflection& read = *message.GetReflection();
  return field.is_repeated() ? read.GetRepeatedString(message, &field, index)
                             : read.GetString(message, &field);
}

absl::Status SectionError(const std::string& key, const pb::FieldDescriptor& field) {
  return absl::InvalidArgumentError(absl::StrCat(
      "'", key, "' is a section, not a value",
      field.message_type() == nullptr || field.is_map()
          ? ""
          : absl::StrCat("; its keys: ", absl::StrJoin(FieldNames(*field.message_type()), ", "))));
}

}  // namespace

absl::StatusOr<std::string> ConfigValue(const pb::Message& config, const std::string& key) {
  const std::vector<std::string> parts = absl::StrSplit(key, '.');
  const pb::Message* message = &config;
  for (size_t i = 0; i < parts.size(); ++i) {
    const pb::FieldDescriptor* field = message->GetDescriptor()->FindFieldByName(parts[i]);
    if (field == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat(
          "there is no key '", key, "'", Suggest(parts[i], FieldNames(*message->GetDescriptor()))));
    }
    const pb::Reflection& read = *message->GetReflection();
    if (field->is_map()) return SectionError(key, *field);
    int index = -1;
    if (field->is_repeated() && i + 1 < parts.size()) {
      const int size = read.FieldSize(*message, field);
      if (!absl::SimpleAtoi(parts[++i], &index) || index < 0 || index >= size) {
        return absl::InvalidArgumentError(
            absl::StrCat("'", key, "': there is no item '", parts[i], "', the list has ", size));
      }
    }
    const bool is_last = i + 1 == parts.size();
    if (field->message_type() != nullptr) {
      if (is_last) return SectionError(key, *field);
      message = index < 0 ? &read.GetMessage(*message, field)
                          : &read.GetRepeatedMessage(*message, field, index);
      continue;
    }
    if (!is_last) {
      return absl::InvalidArgumentError(absl::StrCat("'", key, "': ", parts[i], " has no keys"));
    }
    if (!field->is_repeated() || index >= 0) return ScalarText(*message, *field, index);
    std::vector<std::string> items;
    for (int item = 0; item < read.FieldSize(*message, field); ++item) {
      items.push_back(ScalarText(*message, *field, item));
    }
    return absl::StrJoin(items, "\n");
  }
  return absl::InvalidArgumentError("the key is empty");
}

}  // namespace routewright
