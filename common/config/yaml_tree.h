// A YAML text as a tree in which every node knows where it stands. First step of
// loading a configuration: text → tree (here) → --set (overrides) → message
// (tree_to_message). Pure; any thread.
#pragma once

#include <string>
#include <vector>

namespace routewright {

struct ConfigEntry;

struct ConfigNode {
  enum class Kind { kNull, kScalar, kList, kMap };
  Kind kind = Kind::kNull;
  std::string where;                 // "run.yaml:3:5", lines and columns from 1; or "--set a.b=v"
  std::string text;                  // of a scalar
  bool is_quoted = false;            // a scalar in quotes is text, never a number
  bool is_written_null = false;      // null or ~, not just nothing
  std::vector<ConfigNode> items;     // of a list
  std::vector<ConfigEntry> entries;  // of a map, in order, keys unique

  ConfigNode* Find(const std::string& key);  // the map's value of `key`, or null
};

struct ConfigEntry {
  std::string key;
  std::string where;
  ConfigNode value;
};

// Parses one YAML document. Appends to `violations` ("where: what", one each) syntax errors,
// anchors, aliases, tags, duplicate keys, keys that are not scalars, a second document, and nesting
// deeper than kMaxConfigDepth. `origin` names the text; with is_file false it stands for every
// node's place, without line and column.
ConfigNode ParseYamlTree(const std::string& yaml, const std::string& origin, bool is_file,
                         std::vector<std::string>& violations);

inline constexpr int kMaxConfigDepth = 32;
inline constexpr size_t kMaxConfigBytes = 1 << 20;

}  // namespace routewright
