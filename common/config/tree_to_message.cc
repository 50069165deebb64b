#include "common/config/tree_to_message.h"

#include <google/protobuf/descriptor.h>

#include "absl/strings/str_cat.h"
#include "common/config/scalar.h"
#include "common/config/schema.h"

namespace routewright {
namespace {

namespace pb = google::protobuf;
using Kind = ConfigNode::Kind;

const char* Describe(Kind kind) {
  switch (kind) {
    case Kind::kNull:
      return "nothing";
    case Kind::kScalar:
      return "a single value";
    case Kind::kList:
      return "a list";
    case Kind::kMap:
      return "a map of keys";
  }
  return "";
}

class Filler {
 public:
  explicit Filler(std::vector<std::string>& violations) : violations_(violations) {}

  void Fill(const ConfigNode& node, const std::string& path, pb::Message& message) {
    if (node.kind != Kind::kMap && node.kind != Kind::kNull) {
      return Violation(node.where, path,
                       absl::StrCat("expected a map of keys, got ", Describe(node.kind)));
    }
    for (const ConfigEntry& entry : node.entries) {
      const pb::FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(entry.key);
      const std::string key = path.empty() ? entry.key : absl::StrCat(path, ".", entry.key);
      if (field == nullptr) {
        Violation(
            entry.where, key,
            "there is no such key" + Suggest(entry.key, FieldNames(*message.GetDescriptor())));
      } else {
        FillField(entry.value, key, *field, message);
      }
    }
    CheckRequired(node, path, message);
  }

 private:
  void Violation(const std::string& where, const std::string& path, const std::string& what) {
    violations_.push_back(path.empty() ? absl::StrCat(where, ": ", what)
                                       : absl::StrCat(where, ": ", path, ": ", what));
  }

  void FillField(const ConfigNode& node, const std::string& key, const pb::FieldDescriptor& field,
                 pb::Message& message) {
    if (field.is_map()) return FillMap(node, key, field, message);
    if (field.is_repeated()) return FillList(node, key, field, message);
    if (field.message_type() != nullptr) {
      return Fill(node, key, *message.GetReflection()->MutableMessage(&message, &field));
    }
    FillScalar(node, key, field, field, message);
  }

  void FillList(const ConfigNode& node, const std::string& key, const pb::FieldDescriptor& field,
                pb::Message& message) {
    if (node.kind != Kind::kList && node.kind != Kind::kNull) {
      return Violation(node.where, key, absl::StrCat("expected a list, got ", Describe(node.kind)));
    }
    message.GetReflection()->ClearField(&message, &field);
    for (size_t i = 0; i < node.items.size(); ++i) {
      const std::string item_key = absl::StrCat(key, ".", i);
      if (field.message_type() != nullptr) {
        Fill(node.items[i], item_key, *message.GetReflection()->AddMessage(&message, &field));
      } else {
        FillScalar(node.items[i], item_key, field, field, message);
      }
    }
  }

  // A protobuf map is a repeated field of entries {key = 1, value = 2}; keys are strings here.
  void FillMap(const ConfigNode& node, const std::string& key, const pb::FieldDescriptor& field,
               pb::Message& message) {
    if (node.kind != Kind::kMap && node.kind != Kind::kNull) {
      return Violation(
          node.where, key,
          absl::StrCat("expected a map of names to values, got ", Describe(node.kind)));
    }
    message.GetReflection()->ClearField(&message, &field);
    const pb::FieldDescriptor& name = *field.message_type()->map_key();
    const pb::FieldDescriptor& value = *field.message_type()->map_value();
    for (const ConfigEntry& entry : node.entries) {
      pb::Message& slot = *message.GetReflection()->AddMessage(&message, &field);
      slot.GetReflection()->SetString(&slot, &name, entry.key);
      FillScalar(entry.value, absl::StrCat(key, ".", entry.key), value, field, slot);
    }
  }

  // `options` is the field whose range applies: of a map, the map itself.
  void FillScalar(const ConfigNode& node, const std::string& key, const pb::FieldDescriptor& field,
                  const pb::FieldDescriptor& options, pb::Message& message) {
    if (node.kind == Kind::kNull) return Violation(node.where, key, "has no value");
    if (node.kind != Kind::kScalar) {
      return Violation(node.where, key,
                       absl::StrCat("expected a single value, got ", Describe(node.kind)));
    }
    const std::string fault =
        SetScalar(node, field, RangeOf(options), RangeTextOf(options), message);
    if (!fault.empty()) Violation(node.where, key, fault);
  }

  void CheckRequired(const ConfigNode& node, const std::string& path, const pb::Message& message) {
    for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
      const pb::FieldDescriptor& field = *message.GetDescriptor()->field(i);
      if (!IsRequired(field) || WasNamed(node, field)) continue;
      const std::string key = path.empty() ? field.name() : absl::StrCat(path, ".", field.name());
      Violation(node.where, key, "is required, but not set");
    }
  }
  // A field that was named with a bad value has its violation already.
  static bool WasNamed(const ConfigNode& node, const pb::FieldDescriptor& field) {
    for (const ConfigEntry& entry : node.entries) {
      if (entry.key == field.name())
        return entry.value.kind != Kind::kScalar || !entry.value.text.empty();
    }
    return false;
  }

  std::vector<std::string>& violations_;
};

}  // namespace

void FillMessage(const ConfigNode& root, pb::Message& message,
                 std::vector<std::string>& violations) {
  Filler(violations).Fill(root, "", message);
}

}  // namespace routewright
