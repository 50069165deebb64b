// Second step of loading a configuration: --set key=value, or another file, laid over the tree before
// it becomes a message, so that what an override replaces in the file is never looked at. Pure; any
// thread.
#pragma once

#include <google/protobuf/descriptor.h>

#include <string>
#include <vector>

#include "common/config/yaml_tree.h"

namespace routewright {

// Applies "trainer.loss.clip_low=0.3" to the tree of a `schema` message. List items are named by
// index from 0; the index just past the end adds one. A text field takes all after the first = as
// it is; a list, map or section takes YAML
// ("data.demonstrations=[a.jsonl, b.jsonl]"). A later override of the same key wins. Appends to
// `violations` a text without =, unknown keys with the nearest valid one, and bad indices.
void ApplyOverride(const std::string& override_text, const google::protobuf::Descriptor& schema,
                   ConfigNode& root, std::vector<std::string>& violations);

// Lays the tree of another file over the tree of a `schema` message: its sections are merged, its lists
// and values replace, and what it says is null is as if `onto` did not have it. Appends to `violations`
// what is null and no key.
void LayOver(ConfigNode from, const google::protobuf::Descriptor& schema, ConfigNode& onto,
             std::vector<std::string>& violations);

}  // namespace routewright
