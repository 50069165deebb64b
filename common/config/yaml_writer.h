// A protobuf message as YAML that says everything: what config.resolved.yaml
// holds. Pure; any thread.
#pragma once

#include <google/protobuf/message.h>

#include <map>
#include <string>

namespace routewright {

// Writes every field in the schema's order, each number with its unit and range. Read again,
// it gives the same values.
//   - a field that is set, or has a default in the schema: `clip_low: 0.2  # ratio, in (0, 1)`
//   - a field without value or default, a section that is not set and has required fields, and a
//   key of `unused`
//     (full key → why the set-up doesn't use it) that is not set: a comment line, so that it stays
//     unset.
std::string WriteYaml(const google::protobuf::Message& message,
                      const std::map<std::string, std::string>& unused);

// The value of a field that is no section, or of a list's `index`-th item.
std::string ScalarToYaml(const google::protobuf::Message& message,
                         const google::protobuf::FieldDescriptor& field, int index);
// A text as a YAML scalar: plain if it is a simple word, else in double quotes.
std::string TextToYaml(const std::string& text);
// The shortest decimal that reads back to the same number, always with a point: 1.0e-06, 2.0.
std::string NumberToYaml(double value);

}  // namespace routewright
