#include "common/config/scalar.h"

#include <google/protobuf/descriptor.h>
#include <utf8proc.h>

#include <charconv>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/check.h"

namespace routewright {
namespace {

namespace pb = google::protobuf;
using Type = pb::FieldDescriptor::CppType;

constexpr char kOutOfRange[] = "out of range";

template <typename T>
std::optional<T> ParseNumber(const ConfigNode& node) {
  if (node.is_quoted) return std::nullopt;
  T value{};
  const char* end = node.text.data() + node.text.size();
  const auto [stop, error] = std::from_chars(node.text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

bool IsUtf8(const std::string& text) {
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  for (utf8proc_ssize_t at = 0, size = static_cast<utf8proc_ssize_t>(text.size()); at < size;) {
    utf8proc_int32_t codepoint;
    const utf8proc_ssize_t length = utf8proc_iterate(bytes + at, size - at, &codepoint);
    if (length < 0) return false;
    at += length;
  }
  return true;
}

// The value as the user wrote it, for messages: short, on one line.
std::string Shown(const ConfigNode& node) {
  std::string text = node.text.substr(0, 60);
  for (char& c : text) {
    if (absl::ascii_iscntrl(c)) c = ' ';
  }
  return absl::StrCat(node.is_quoted ? "the text \"" : "'", text, node.is_quoted ? "\"" : "'");
}

std::string Expected(const char* what, const ConfigNode& node) {
  return absl::StrCat("expected ", what, ", got ", Shown(node));
}

// Sets or adds one value: PUT(Int32) calls SetInt32 or AddInt32.
#define PUT(Name, value)                                                             \
  (field.is_repeated() ? message.GetReflection()->Add##Name(&message, &field, value) \
                       : message.GetReflection()->Set##Name(&message, &field, value))

template <typename T>
std::string CheckNumber(const std::optional<T>& value, const char* what, const ConfigNode& node,
                        const std::optional<Range>& range, const std::string& range_text) {
  if (!value.has_value() || !std::isfinite(static_cast<double>(*value)))
    return Expected(what, node);
  if (range.has_value() && !range->Contains(static_cast<double>(*value))) {
    return absl::StrCat(node.text, " is ", kOutOfRange, " ", range_text);
  }
  return "";
}

}  // namespace

std::string SetScalar(const ConfigNode& node, const pb::FieldDescriptor& field,
                      const std::optional<Range>& range, const std::string& range_text,
                      pb::Message& message) {
  std::string fault;
  switch (field.cpp_type()) {
#define NUMBER(Case, Name, T, what)                            \
  case Type::Case: {                                           \
    const std::optional<T> value = ParseNumber<T>(node);       \
    fault = CheckNumber(value, what, node, range, range_text); \
    if (fault.empty()) PUT(Name, *value);                      \
    return fault;                                              \
  }
    NUMBER(CPPTYPE_INT32, Int32, int32_t, "a whole number of 32 bits")
    NUMBER(CPPTYPE_INT64, Int64, int64_t, "a whole number")
    NUMBER(CPPTYPE_UINT32, UInt32, uint32_t, "a whole number of 32 bits, not negative")
    NUMBER(CPPTYPE_UINT64, UInt64, uint64_t, "a whole number, not negative")
    NUMBER(CPPTYPE_FLOAT, Float, float, "a number")
    NUMBER(CPPTYPE_DOUBLE, Double, double, "a number")
#undef NUMBER
    case Type::CPPTYPE_BOOL:
      if (node.is_quoted || (node.text != "true" && node.text != "false"))
        return Expected("true or false", node);
      PUT(Bool, node.text == "true");
      return "";
    case Type::CPPTYPE_ENUM: {
      const pb::EnumValueDescriptor* value = FindEnumValue(*field.enum_type(), node.text);
      if (value == nullptr) {
        return absl::StrCat("there is no ", Shown(node),
                            Suggest(node.text, EnumValueNames(*field.enum_type())));
      }
      PUT(Enum, value);
      return "";
    }
    case Type::CPPTYPE_STRING:
      if (!IsUtf8(node.text)) return "is not valid UTF-8";
      PUT(String, node.text);
      return "";
    case Type::CPPTYPE_MESSAGE:
      break;
  }
  RW_CHECK(false) << field.full_name() << " is no scalar";
  return "";
}
#undef PUT

}  // namespace routewright
