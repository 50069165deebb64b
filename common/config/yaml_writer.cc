#include "common/config/yaml_writer.h"

#include <google/protobuf/descriptor.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/check.h"
#include "common/config/schema.h"

namespace routewright {
namespace {

namespace pb = google::protobuf;
using Type = pb::FieldDescriptor::CppType;

// "  # ratio, in (0, 1)", or "" for a field without unit and range.
std::string Remark(const pb::FieldDescriptor& field) {
  const std::string unit = UnitOf(field), range = RangeTextOf(field);
  if (unit.empty() && range.empty()) return "";
  return absl::StrCat("  # ", unit, unit.empty() || range.empty() ? "" : ", ",
                      range.empty() ? "" : "in ", range);
}

bool HasRequiredFields(const pb::Descriptor& message) {
  for (int i = 0; i < message.field_count(); ++i) {
    if (IsRequired(*message.field(i))) return true;
  }
  return false;
}

class Writer {
 public:
  explicit Writer(const std::map<std::string, std::string>& unused) : unused_(unused) {}

  // Writes the fields of `message`, whose full key is `path`, at `indent`. Returns how
  // many are real, not comments.
  int WriteFields(const pb::Message& message, const std::string& path, int indent) {
    int written = 0;
    for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
      const pb::FieldDescriptor& field = *message.GetDescriptor()->field(i);
      const std::string key = path.empty() ? field.name() : absl::StrCat(path, ".", field.name());
      const bool is_set = field.is_repeated()
                              ? message.GetReflection()->FieldSize(message, &field) > 0
                              : message.GetReflection()->HasField(message, &field);
      const auto unused = unused_.find(key);
      if (!is_set && unused != unused_.end()) {
        Comment(indent, field.name(), absl::StrCat("not used: ", unused->second));
      } else if (WriteField(message, field, is_set, key, indent)) {
        ++written;
      }
    }
    return written;
  }

  std::string Take() { return std::move(out_); }

 private:
  void Line(int indent, const std::string& text) {
    absl::StrAppend(&out_, std::string(indent, ' '), text, "\n");
  }
  void Comment(int indent, const std::string& name, const std::string& why) {
    Line(indent, absl::StrCat("# ", name, ": ", why));
  }

  bool WriteField(const pb::Message& message, const pb::FieldDescriptor& field, bool is_set,
                  const std::string& key, int indent) {
    if (field.is_map()) return WriteMap(message, field, indent);
    if (field.is_repeated()) return WriteList(message, field, key, indent);
    const bool is_section = field.message_type() != nullptr;
    if (!is_set &&
        (is_section ? HasRequiredFields(*field.message_type()) : !field.has_default_value())) {
      const std::string unit = UnitOf(field);
      Comment(indent, field.name(),
              unit.empty() ? "not set" : absl::StrCat("not set (", unit, ")"));
      return false;
    }
    if (is_section) {
      WriteSection(message.GetReflection()->GetMessage(message, &field), field.name(), key, indent);
    } else {
      Line(indent,
           absl::StrCat(field.name(), ": ", ScalarToYaml(message, field, 0), Remark(field)));
    }
    return true;
  }

  // "name:" and its fields below.
  void WriteSection(const pb::Message& section, const std::string& name, const std::string& key,
                    int indent) {
    const std::string fields = FieldsOf(section, key, indent + 2);
    Line(indent, absl::StrCat(name, fields.empty() ? ": {}" : ":"));
    out_ += fields;
  }

  // "- " and its fields, the first on the same line.
  void WriteItem(const pb::Message& item, const std::string& key, int indent) {
    std::string fields = FieldsOf(item, key, indent + 2);
    if (fields.empty()) return Line(indent, "- {}");
    fields[static_cast<size_t>(indent)] = '-';
    out_ += fields;
  }

  // The fields' lines; empty if all of them are comments.
  std::string FieldsOf(const pb::Message& message, const std::string& key, int indent) {
    Writer inner(unused_);
    return inner.WriteFields(message, key, indent) > 0 ? inner.Take() : "";
  }

  bool WriteList(const pb::Message& message, const pb::FieldDescriptor& field,
                 const std::string& key, int indent) {
    const int size = message.GetReflection()->FieldSize(message, &field);
    if (field.message_type() == nullptr || size == 0) {
      std::vector<std::string> items;
      for (int i = 0; i < size; ++i) items.push_back(ScalarToYaml(message, field, i));
      Line(indent,
           absl::StrCat(field.name(), ": [", absl::StrJoin(items, ", "), "]", Remark(field)));
      return true;
    }
    Line(indent, field.name() + ":");
    for (int i = 0; i < size; ++i) {
      WriteItem(message.GetReflection()->GetRepeatedMessage(message, &field, i),
                absl::StrCat(key, ".", i), indent + 2);
    }
    return true;
  }

  // Sorted by name: protobuf's maps have no order of their own.
  bool WriteMap(const pb::Message& message, const pb::FieldDescriptor& field, int indent) {
    std::map<std::string, std::string> entries;
    for (int i = 0; i < message.GetReflection()->FieldSize(message, &field); ++i) {
      const pb::Message& entry = message.GetReflection()->GetRepeatedMessage(message, &field, i);
      entries[ScalarToYaml(entry, *field.message_type()->map_key(), 0)] =
          ScalarToYaml(entry, *field.message_type()->map_value(), 0);
    }
    Line(indent, absl::StrCat(field.name(), entries.empty() ? ": {}" : ":", Remark(field)));
    for (const auto& [name, value] : entries) Line(indent + 2, absl::StrCat(name, ": ", value));
    return true;
  }

  const std::map<std::string, std::string>& unused_;
  std::string out_;
};

}  // namespace

std::string ScalarToYaml(const pb::Message& message, const pb::FieldDescriptor& field, int index) {
  const pb::Reflection& read = *message.GetReflection();
#define GET(Name)                                                       \
  (field.is_repeated() ? read.GetRepeated##Name(message, &field, index) \
                       : read.Get##Name(message, &field))
  switch (field.cpp_type()) {
    case Type::CPPTYPE_INT32:
      return absl::StrCat(GET(Int32));
    case Type::CPPTYPE_INT64:
      return absl::StrCat(GET(Int64));
    case Type::CPPTYPE_UINT32:
      return absl::StrCat(GET(UInt32));
    case Type::CPPTYPE_UINT64:
      return absl::StrCat(GET(UInt64));
    case Type::CPPTYPE_FLOAT:
      return NumberToYaml(GET(Float));
    case Type::CPPTYPE_DOUBLE:
      return NumberToYaml(GET(Double));
    case Type::CPPTYPE_BOOL:
      return GET(Bool) ? "true" : "false";
    case Type::CPPTYPE_ENUM:
      return EnumValueName(*GET(Enum));
    case Type::CPPTYPE_STRING:
      return TextToYaml(GET(String));
    case Type::CPPTYPE_MESSAGE:
      break;
  }
#undef GET
  RW_CHECK(false) << field.full_name() << " is no scalar";
  return "";
}

std::string WriteYaml(const pb::Message& message,
                      const std::map<std::string, std::string>& unused) {
  Writer writer(unused);
  writer.WriteFields(message, "", 0);
  return writer.Take();
}

}  // namespace routewright
