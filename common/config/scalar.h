// One YAML scalar into one protobuf field, strict, without guessing. Pure; any thread.
#pragma once

#include <google/protobuf/message.h>

#include <optional>
#include <string>

#include "common/config/schema.h"
#include "common/config/yaml_tree.h"

namespace routewright {

// Sets the field (or adds to it, if repeated) from a scalar node. Whole numbers are decimal;
// numbers with a fraction are decimal and finite; bool is true or false; a scalar in quotes is text
// and never a number. Returns "", or what is wrong with the value: its type, its range
// (`range_text` for the message), an enum value's name.
std::string SetScalar(const ConfigNode& node, const google::protobuf::FieldDescriptor& field,
                      const std::optional<Range>& range, const std::string& range_text,
                      google::protobuf::Message& message);

}  // namespace routewright
