// Third step of loading a configuration: a tree of YAML onto a protobuf message, by
// reflection. Pure; any thread.
#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <vector>

#include "common/config/yaml_tree.h"

namespace routewright {

// Sets the fields of `message` that the tree names; the others keep their defaults. A list or map
// replaces what was there; an empty value (`key:`) of a message, list or map field is an empty one.
// Appends to `violations` ("where: key: what", one each) unknown keys with the nearest valid one,
// wrong types, unknown enum values, numbers out of their field's range and required fields that are
// not set in a message that is.
void FillMessage(const ConfigNode& root, google::protobuf::Message& message,
                 std::vector<std::string>& violations);

}  // namespace routewright
