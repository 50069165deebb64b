#include "common/config/overrides.h"

#include <charconv>
#include <deque>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/config/schema.h"

namespace routewright {
namespace {

namespace pb = google::protobuf;
using Kind = ConfigNode::Kind;

// Walks one key down the schema and the tree together, making what is missing on the way.
class Override {
 public:
  Override(const std::string& text, std::vector<std::string>& violations)
      : where_(absl::StrCat("--set ", text)), violations_(violations) {}

  void Apply(const std::string& key, const std::string& value, const pb::Descriptor& schema,
             ConfigNode& root) {
    const std::vector<std::string> parts = absl::StrSplit(key, '.');
    parts_.assign(parts.begin(), parts.end());
    value_ = value;
    EnterMessage(schema, root);
  }

 private:
  void Violation(const std::string& what) {
    violations_.push_back(absl::StrCat(where_, ": ", what));
  }

  std::string TakePart() {
    std::string part = parts_.front();
    parts_.pop_front();
    return part;
  }

  void EnterMessage(const pb::Descriptor& schema, ConfigNode& node) {
    if (parts_.empty()) return SetYaml(node);
    if (!Become(node, Kind::kMap)) return;
    const std::string name = TakePart();
    const pb::FieldDescriptor* field = schema.FindFieldByName(name);
    if (field == nullptr) {
      return Violation(absl::StrCat("there is no key ", name.empty() ? "before the =" : name,
                                    Suggest(name, FieldNames(schema))));
    }
    if (parts_.empty() && value_ == "null") {  // as if the file did not set it
      std::erase_if(node.entries, [&](const auto& entry) { return entry.key == name; });
      return;
    }
    ConfigNode& value = Child(node, name);
    if (field->is_map()) return EnterMap(value);
    if (field->is_repeated()) return EnterList(*field, value);
    EnterSingle(*field, value);
  }

  void EnterSingle(const pb::FieldDescriptor& field, ConfigNode& node) {
    if (field.message_type() != nullptr) return EnterMessage(*field.message_type(), node);
    if (!parts_.empty()) {
      return Violation(absl::StrCat(field.name(), " is a single value: it has no key ",
                                    absl::StrJoin(parts_, ".")));
    }
    SetScalarText(node, field.cpp_type() == pb::FieldDescriptor::CPPTYPE_STRING);
  }

  // The rest of the key is one name of the map: names may hold dots.
  void EnterMap(ConfigNode& node) {
    if (parts_.empty()) return SetYaml(node);
    if (Become(node, Kind::kMap)) SetScalarText(Child(node, absl::StrJoin(parts_, ".")), false);
  }

  void EnterList(const pb::FieldDescriptor& field, ConfigNode& node) {
    if (parts_.empty()) return SetYaml(node);
    if (!Become(node, Kind::kList)) return;
    const std::string part = TakePart();
    size_t index = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), index);
    if (error != std::errc() || end != part.data() + part.size() || index > node.items.size()) {
      return Violation(absl::StrCat(field.name(), " is a list of ", node.items.size(), " items: '",
                                    part, "' is no index of it (they count from 0; ",
                                    node.items.size(), " adds one)"));
    }
    if (index == node.items.size()) node.items.push_back(Made(Kind::kNull));
    EnterSingle(field, node.items[index]);
  }

  // Turns a missing or empty node into an empty list or map. False if the file has something else
  // there: what the file has is reported when the message is filled.
  bool Become(ConfigNode& node, Kind kind) {
    if (node.kind == Kind::kNull) node.kind = kind;
    return node.kind == kind;
  }

  ConfigNode Made(Kind kind) const {
    ConfigNode node;
    node.kind = kind;
    node.where = where_;
    return node;
  }

  ConfigNode& Child(ConfigNode& node, const std::string& name) {
    if (ConfigNode* found = node.Find(name)) return *found;
    node.entries.push_back({name, where_, Made(Kind::kNull)});
    return node.entries.back().value;
  }

  void SetScalarText(ConfigNode& node, bool is_text) {
    node = Made(Kind::kScalar);
    node.text = value_;
    node.is_quoted = is_text;
  }

  void SetYaml(ConfigNode& node) {
    node = ParseYamlTree(value_, where_, /*is_file=*/false, violations_);
  }

  const std::string where_;
  std::vector<std::string>& violations_;
  std::deque<std::string> parts_;  // of the key, not yet walked
  std::string value_;
};

}  // namespace

void ApplyOverride(const std::string& override_text, const pb::Descriptor& schema, ConfigNode& root,
                   std::vector<std::string>& violations) {
  const size_t equals = override_text.find('=');
  if (equals == std::string::npos) {
    violations.push_back(
        absl::StrCat("--set ", override_text, ": write it as key=value, such as trainer.steps=10"));
    return;
  }
  Override(override_text, violations)
      .Apply(override_text.substr(0, equals), override_text.substr(equals + 1), schema, root);
}

void LayOver(ConfigNode from, const pb::Descriptor& schema, ConfigNode& onto,
             std::vector<std::string>& violations) {
  for (ConfigEntry& entry : from.entries) {
    const pb::FieldDescriptor* field = schema.FindFieldByName(entry.key);
    if (entry.value.kind == Kind::kNull) {
      if (field == nullptr) {
        violations.push_back(absl::StrCat(entry.where, ": there is no key ", entry.key,
                                          Suggest(entry.key, FieldNames(schema))));
      }
      // A key without a value says nothing, as in any file.
      if (!entry.value.is_written_null) continue;
      std::erase_if(onto.entries, [&](const auto& other) { return other.key == entry.key; });
      continue;
    }
    ConfigNode* found = onto.Find(entry.key);
    if (found == nullptr) {
      found = &onto.entries.emplace_back(entry.key, entry.where, ConfigNode()).value;
    }
    const bool is_section =
        field != nullptr && field->message_type() != nullptr && !field->is_repeated();
    if (!is_section || entry.value.kind != Kind::kMap) {
      *found = std::move(entry.value);
      continue;
    }
    const bool is_new = found->kind != Kind::kMap;
    const bool says_something = !entry.value.entries.empty();
    if (is_new) {
      found->kind = Kind::kMap;
      found->where = entry.value.where;
    }
    LayOver(std::move(entry.value), *field->message_type(), *found, violations);
    // A section that only took keys back, of one that is not there, is none.
    if (is_new && says_something && found->entries.empty()) {
      std::erase_if(onto.entries, [&](const auto& other) { return other.key == entry.key; });
    }
  }
}

}  // namespace routewright
