#include "policy/formats/gguf.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/file_kind.h"
#include "common/status_macros.h"
#include "policy/formats/gguf_types.h"

namespace routewright {
namespace {

static_assert(std::endian::native == std::endian::little, "weight files are read in place");

// Metadata value types.
enum class ValueType : uint32_t {
  kU8 = 0,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kString,
  kArray,
  kU64,
  kI64,
  kF64
};

// Takes typed values off the front of the bytes that are left. Every Take fails,
// without moving, at the end.
class Cursor {
 public:
  explicit Cursor(std::string_view bytes) : bytes_(bytes) {}
  size_t left() const { return bytes_.size() - position_; }
  size_t position() const { return position_; }

  template <typename T>
  bool Take(T* value) {
    if (left() < sizeof(T)) return false;
    std::memcpy(value, bytes_.data() + position_, sizeof(T));
    position_ += sizeof(T);
    return true;
  }
  bool TakeString(std::string* value) {
    uint64_t size = 0;
    if (!Take(&size) || size > left()) return false;
    *value = std::string(bytes_.substr(position_, size));
    position_ += size;
    return true;
  }

 private:
  std::string_view bytes_;
  size_t position_ = 0;
};

// The double that a float was written as: 1e-5, not 9.99999974e-06.
double FromFloat(float value) {
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof(text), value);
  double result = value;
  if (error == std::errc()) std::from_chars(text, end, result);
  return result;
}

template <typename Stored>
bool TakeInteger(Cursor* cursor, int64_t* value) {
  Stored stored;
  if (!cursor->Take(&stored) || !std::in_range<int64_t>(stored)) return false;
  *value = static_cast<int64_t>(stored);
  return true;
}

bool TakeInteger(Cursor* cursor, ValueType type, int64_t* value) {
  switch (type) {
    case ValueType::kU8:
      return TakeInteger<uint8_t>(cursor, value);
    case ValueType::kI8:
      return TakeInteger<int8_t>(cursor, value);
    case ValueType::kU16:
      return TakeInteger<uint16_t>(cursor, value);
    case ValueType::kI16:
      return TakeInteger<int16_t>(cursor, value);
    case ValueType::kU32:
      return TakeInteger<uint32_t>(cursor, value);
    case ValueType::kI32:
      return TakeInteger<int32_t>(cursor, value);
    case ValueType::kU64:
      return TakeInteger<uint64_t>(cursor, value);
    case ValueType::kI64:
      return TakeInteger<int64_t>(cursor, value);
    case ValueType::kBool:
      return TakeInteger<uint8_t>(cursor, value);
    default:
      return false;
  }
}

bool TakeReal(Cursor* cursor, ValueType type, double* value) {
  if (type == ValueType::kF64) return cursor->Take(value);
  float narrow = 0;
  if (type != ValueType::kF32 || !cursor->Take(&narrow)) return false;
  *value = FromFloat(narrow);
  return true;
}

// The smallest number of bytes that a value of this type takes; 0 for an unknown type.
size_t LeastBytes(ValueType type) {
  switch (type) {
    case ValueType::kU8:
    case ValueType::kI8:
    case ValueType::kBool:
      return 1;
    case ValueType::kU16:
    case ValueType::kI16:
      return 2;
    case ValueType::kU32:
    case ValueType::kI32:
    case ValueType::kF32:
      return 4;
    case ValueType::kU64:
    case ValueType::kI64:
    case ValueType::kF64:
    case ValueType::kString:
      return 8;
    default:
      return 0;
  }
}

bool TakeArray(Cursor* cursor, GgufFile::Value* value) {
  ValueType type;
  uint64_t count = 0;
  if (!cursor->Take(&type) || !cursor->Take(&count)) return false;
  const size_t least = LeastBytes(type);  // 0 also for arrays of arrays, which no known file has
  if (least == 0 || count > cursor->left() / least) return false;
  if (type == ValueType::kString) {
    std::vector<std::string> strings(count);
    for (std::string& string : strings) {
      if (!cursor->TakeString(&string)) return false;
    }
    *value = std::move(strings);
  } else if (type == ValueType::kF32 || type == ValueType::kF64) {
    std::vector<double> reals(count);
    for (double& real : reals) {
      if (!TakeReal(cursor, type, &real)) return false;
    }
    *value = std::move(reals);
  } else {
    std::vector<int64_t> integers(count);
    for (int64_t& integer : integers) {
      if (!TakeInteger(cursor, type, &integer)) return false;
    }
    *value = std::move(integers);
  }
  return true;
}

bool TakeValue(Cursor* cursor, GgufFile::Value* value) {
  ValueType type;
  if (!cursor->Take(&type)) return false;
  int64_t integer = 0;
  double real = 0;
  if (type == ValueType::kArray) return TakeArray(cursor, value);
  if (type == ValueType::kString) return cursor->TakeString(&value->emplace<std::string>());
  if (type == ValueType::kF32 || type == ValueType::kF64) {
    if (!TakeReal(cursor, type, &real)) return false;
    *value = real;
    return true;
  }
  if (!TakeInteger(cursor, type, &integer)) return false;
  if (type == ValueType::kBool)
    *value = integer != 0;
  else
    *value = integer;
  return true;
}

struct TensorInfo {
  GgufTensor tensor;
  uint64_t offset = 0;
};

absl::StatusOr<TensorInfo> TakeTensorInfo(Cursor* cursor) {
  TensorInfo info;
  uint32_t num_dimensions = 0;
  if (!cursor->TakeString(&info.tensor.name) || !cursor->Take(&num_dimensions)) {
    return absl::DataLossError("cut short within the list of tensors");
  }
  const auto fail = [&](const char* what) {
    return absl::DataLossError(absl::StrCat("tensor ", info.tensor.name, ": ", what));
  };
  if (num_dimensions > 4) return fail("more than 4 dimensions");
  info.tensor.num_elements = 1;
  for (uint32_t i = 0; i < num_dimensions; ++i) {
    int64_t size = 0;
    if (!TakeInteger<uint64_t>(cursor, &size)) return fail("its shape is cut short or too large");
    if (__builtin_mul_overflow(info.tensor.num_elements, size, &info.tensor.num_elements)) {
      return fail("its shape overflows");
    }
    info.tensor.shape.insert(info.tensor.shape.begin(), size);
  }
  if (!cursor->Take(&info.tensor.type) || !cursor->Take(&info.offset)) return fail("cut short");
  return info;
}

// Points the tensor at its bytes within `data`.
absl::Status PlaceTensor(const TensorInfo& info, uint64_t alignment, std::string_view data,
                         GgufTensor* tensor) {
  const auto fail = [&](const auto&... what) {
    return absl::DataLossError(absl::StrCat("tensor ", tensor->name, ": ", what...));
  };
  const GgufType* type = FindGgufType(tensor->type);
  if (type == nullptr) return fail("unknown type ", tensor->type);
  const int64_t row = tensor->shape.empty() ? 1 : tensor->shape.back();
  if (row % type->block_elements != 0) {
    return fail("rows of ", row, " elements do not hold whole ", type->name, " blocks");
  }
  int64_t num_bytes = 0;
  if (__builtin_mul_overflow(tensor->num_elements / type->block_elements, type->block_bytes,
                             &num_bytes)) {
    return fail("its shape overflows");
  }
  if (info.offset % alignment != 0) return fail("its offset is not aligned");
  if (info.offset > data.size() || static_cast<uint64_t>(num_bytes) > data.size() - info.offset) {
    return fail("its ", num_bytes, " bytes at ", info.offset, " pass the end of the file's ",
                data.size(), " bytes of data: cut short");
  }
  tensor->bytes = data.substr(info.offset, num_bytes);
  return absl::OkStatus();
}

absl::Status CheckNoOverlaps(const std::vector<GgufTensor>& tensors) {
  std::vector<const GgufTensor*> sorted;
  for (const GgufTensor& tensor : tensors) sorted.push_back(&tensor);
  std::sort(sorted.begin(), sorted.end(), [](const GgufTensor* a, const GgufTensor* b) {
    return std::pair(a->bytes.data(), a->bytes.size()) <
           std::pair(b->bytes.data(), b->bytes.size());
  });
  for (size_t i = 0; i + 1 < sorted.size(); ++i) {
    if (sorted[i]->bytes.data() + sorted[i]->bytes.size() > sorted[i + 1]->bytes.data()) {
      return absl::DataLossError(
          absl::StrCat("tensor ", sorted[i + 1]->name, ": its bytes overlap another tensor's"));
    }
  }
  return absl::OkStatus();
}

absl::Status TakeMetadata(Cursor* cursor, uint64_t count,
                          std::map<std::string, GgufFile::Value>* metadata) {
  if (count > cursor->left() / 12) {  // a key's length and a type at least
    return absl::DataLossError(
        absl::StrCat("claims ", count, " metadata pairs, more than its bytes can hold"));
  }
  for (uint64_t i = 0; i < count; ++i) {
    std::string key;
    GgufFile::Value value;
    if (!cursor->TakeString(&key)) return absl::DataLossError("cut short within the metadata");
    if (!TakeValue(cursor, &value)) {
      return absl::DataLossError(
          absl::StrCat("key ", key, ": its value is cut short or of an unknown type"));
    }
    if (!metadata->emplace(key, std::move(value)).second) {
      return absl::DataLossError(absl::StrCat("key ", key, ": given twice"));
    }
  }
  return absl::OkStatus();
}

// Fills everything behind "GGUF"; `bytes` is the whole file.
absl::Status Parse(std::string_view bytes, std::map<std::string, GgufFile::Value>* metadata,
                   std::vector<GgufTensor>* tensors) {
  Cursor cursor(bytes);
  uint32_t magic = 0, version = 0;
  uint64_t num_tensors = 0, num_pairs = 0;
  if (!cursor.Take(&magic) || magic != 0x46554747) {
    const std::string_view kind = ForeignFileKind(bytes);
    return absl::DataLossError(kind.empty() ? "not a GGUF file" : std::string(kind));
  }
  if (!cursor.Take(&version) || (version != 2 && version != 3)) {
    return absl::DataLossError(
        absl::StrCat("GGUF version ", version, " is not supported (2 and 3 are)"));
  }
  if (!cursor.Take(&num_tensors) || !cursor.Take(&num_pairs))
    return absl::DataLossError("cut short");
  RW_RETURN_IF_ERROR(TakeMetadata(&cursor, num_pairs, metadata));
  if (num_tensors > cursor.left() / 24) {  // a name's length, a rank, a type and an offset at least
    return absl::DataLossError(
        absl::StrCat("claims ", num_tensors, " tensors, more than its bytes can hold"));
  }
  std::vector<TensorInfo> infos;
  for (uint64_t i = 0; i < num_tensors; ++i) {
    RW_ASSIGN_OR_RETURN(TensorInfo info, TakeTensorInfo(&cursor));
    infos.push_back(std::move(info));
  }
  uint64_t alignment = 32;
  if (const auto it = metadata->find("general.alignment"); it != metadata->end()) {
    const int64_t* given = std::get_if<int64_t>(&it->second);
    if (given == nullptr || *given < 1 || *given > 1 << 20)
      return absl::DataLossError("key general.alignment: impossible");
    alignment = static_cast<uint64_t>(*given);
  }
  const size_t data_begin =
      std::min(bytes.size(), (cursor.position() + alignment - 1) / alignment * alignment);
  for (TensorInfo& info : infos) {
    RW_RETURN_IF_ERROR(PlaceTensor(info, alignment, bytes.substr(data_begin), &info.tensor));
    tensors->push_back(std::move(info.tensor));
  }
  return CheckNoOverlaps(*tensors);
}

}  // namespace

absl::StatusOr<std::unique_ptr<GgufFile>> GgufFile::Open(const std::string& path) {
  auto result = std::unique_ptr<GgufFile>(new GgufFile());
  RW_ASSIGN_OR_RETURN(result->file_, MappedFile::Open(path));
  const absl::Status status = Parse(result->file_->bytes(), &result->metadata_, &result->tensors_);
  if (!status.ok()) return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
  for (size_t i = 0; i < result->tensors_.size(); ++i) {
    const std::string& name = result->tensors_[i].name;
    if (!result->index_.emplace(name, i).second) {
      return absl::DataLossError(absl::StrCat(path, ": tensor ", name, ": given twice"));
    }
  }
  return result;
}

const GgufTensor* GgufFile::Find(const std::string& name) const {
  const auto it = index_.find(name);
  return it == index_.end() ? nullptr : &tensors_[it->second];
}

absl::StatusOr<HostTensor> GgufFile::Read(const GgufTensor& tensor) const {
  if (!CanReadGgufType(tensor.type)) {
    return absl::InvalidArgumentError(absl::StrCat(
        path(), ": tensor ", tensor.name, " is ", GgufTypeName(tensor.type),
        "; F32, F16, BF16, Q8_0 and Q4_1 are read: convert the file to one of them first"));
  }
  HostTensor result{tensor.shape, std::vector<float>(tensor.num_elements)};
  FloatsFromGguf(tensor.type, tensor.bytes, result.values);
  return result;
}

}  // namespace routewright
