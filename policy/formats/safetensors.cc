#include "policy/formats/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/file_kind.h"
#include "common/file_system.h"
#include "common/status_macros.h"
#include "policy/formats/float_bits.h"

namespace routewright {
namespace {

static_assert(std::endian::native == std::endian::little, "weight files are read in place");

using Json = nlohmann::json;

constexpr uint64_t kMaxHeaderBytes = uint64_t{32} << 20;  // the largest real ones have a few MiB
constexpr const char* kMetadataKey = "__metadata__";

// Bytes per element, 0 for a dtype that the format does not know.
int64_t ElementBytes(const std::string& dtype) {
  static const auto* sizes = new std::map<std::string, int64_t>{
      {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E4M3", 1}, {"F8_E5M2", 1},
      {"I16", 2},  {"U16", 2}, {"F16", 2}, {"BF16", 2},    {"I32", 4},
      {"U32", 4},  {"F32", 4}, {"F64", 8}, {"I64", 8},     {"U64", 8}};
  const auto it = sizes->find(dtype);
  return it == sizes->end() ? 0 : it->second;
}

// A JSON number as a size. False unless it is an integer in [0, 2⁶²].
bool ReadSize(const Json& value, int64_t* size) {
  if (!value.is_number_unsigned() || value.get<uint64_t>() > uint64_t{1} << 62) return false;
  *size = value.get<int64_t>();
  return true;
}

absl::StatusOr<Json> ParseHeader(std::string_view file) {
  if (file.size() < 8) return absl::DataLossError("cut short: no header length");
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, file.data(), 8);
  if (header_bytes > kMaxHeaderBytes) {
    return absl::DataLossError(absl::StrCat("the header claims ", header_bytes,
                                            " bytes, more than ", kMaxHeaderBytes,
                                            ": not a safetensors file"));
  }
  if (header_bytes > file.size() - 8) {
    return absl::DataLossError(
        absl::StrCat("cut short: a header of ", header_bytes, " bytes in a file of ", file.size()));
  }
  const std::string_view text = file.substr(8, header_bytes);
  std::set<std::string> names;
  std::string duplicate;
  const auto check_names = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::key && depth == 1 &&
        !names.insert(parsed.get<std::string>()).second) {
      duplicate = parsed.get<std::string>();
    }
    return true;
  };
  Json header = Json::parse(text.begin(), text.end(), check_names, /*allow_exceptions=*/false);
  if (!header.is_object()) return absl::DataLossError("the header is not a JSON object");
  if (!duplicate.empty()) {
    return absl::DataLossError(absl::StrCat("tensor ", duplicate, ": named twice in the header"));
  }
  return header;
}

// One header entry. `data` is everything behind the header.
absl::StatusOr<SafetensorsTensor> ParseEntry(const std::string& name, const Json& entry,
                                             std::string_view data) {
  const auto fail = [&](const auto&... what) {
    return absl::DataLossError(absl::StrCat("tensor ", name, ": ", what...));
  };
  if (!entry.is_object() || !entry.contains("dtype") || !entry.contains("shape") ||
      !entry.contains("data_offsets")) {
    return fail("its entry needs dtype, shape and data_offsets");
  }
  SafetensorsTensor tensor;
  tensor.name = name;
  const Json& dtype = entry["dtype"];
  if (dtype.is_string()) tensor.dtype = dtype.get<std::string>();
  const int64_t element_bytes = ElementBytes(tensor.dtype);
  if (element_bytes == 0) return fail("unknown dtype ", dtype.dump());
  const Json& shape = entry["shape"];
  if (!shape.is_array() || shape.size() > 8) return fail("its shape must be a list of sizes");
  tensor.num_elements = 1;
  for (const Json& size_json : shape) {
    int64_t size = 0;
    if (!ReadSize(size_json, &size)) return fail("its shape must be a list of sizes");
    if (__builtin_mul_overflow(tensor.num_elements, size, &tensor.num_elements)) {
      return fail("its shape overflows");
    }
    tensor.shape.push_back(size);
  }
  int64_t num_bytes = 0, begin = 0, end = 0;
  if (__builtin_mul_overflow(tensor.num_elements, element_bytes, &num_bytes)) {
    return fail("its shape overflows");
  }
  const Json& offsets = entry["data_offsets"];
  if (!offsets.is_array() || offsets.size() != 2 || !ReadSize(offsets[0], &begin) ||
      !ReadSize(offsets[1], &end) || begin > end) {
    return fail("its data_offsets must be [begin, end]");
  }
  if (end > static_cast<int64_t>(data.size())) {
    return fail("its bytes end at ", end, ", the file's data at ", data.size(), ": cut short");
  }
  if (end - begin != num_bytes) {
    return fail("dtype and shape ask for ", num_bytes, " bytes, data_offsets hold ", end - begin);
  }
  tensor.bytes = data.substr(begin, num_bytes);
  return tensor;
}

// The tensors, sorted by place, must cover `data` exactly.
absl::Status CheckCoverage(const std::vector<SafetensorsTensor>& tensors, std::string_view data) {
  const char* expected = data.data();
  for (const SafetensorsTensor& tensor : tensors) {
    if (tensor.bytes.data() != expected) {
      return absl::DataLossError(absl::StrCat(
          "tensor ", tensor.name, ": its bytes ",
          tensor.bytes.data() < expected ? "overlap another tensor's" : "lie behind a hole"));
    }
    expected += tensor.bytes.size();
  }
  const size_t unused = data.data() + data.size() - expected;
  if (unused == 0) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(unused, " bytes at the end belong to no tensor"));
}

// The float at `index` of unaligned little-endian bytes.
template <typename T>
T Load(const char* bytes, int64_t index) {
  T value;
  std::memcpy(&value, bytes + index * sizeof(T), sizeof(T));
  return value;
}

int64_t NumElements(const std::vector<int64_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<int64_t>());
}

absl::StatusOr<Json> MakeHeader(std::span<const SafetensorsShape> tensors, WeightFormat format,
                                const std::map<std::string, std::string>& metadata) {
  Json header = Json::object();
  if (!metadata.empty()) header[kMetadataKey] = metadata;
  const int64_t element_bytes = format == WeightFormat::kF32 ? 4 : 2;
  int64_t offset = 0;
  for (const SafetensorsShape& tensor : tensors) {
    if (header.contains(tensor.name)) {
      return absl::InvalidArgumentError(absl::StrCat("tensor ", tensor.name, ": given twice"));
    }
    const int64_t end = offset + element_bytes * NumElements(tensor.shape);
    header[tensor.name] = {{"dtype", format == WeightFormat::kF32 ? "F32" : "BF16"},
                           {"shape", tensor.shape},
                           {"data_offsets", {offset, end}}};
    offset = end;
  }
  return header;
}

absl::Status AppendValues(WritableFile& out, std::span<const float> values, WeightFormat format) {
  if (format == WeightFormat::kF32) {
    return out.Append({reinterpret_cast<const char*>(values.data()), values.size_bytes()});
  }
  constexpr size_t kChunk = 1 << 20;
  std::vector<uint16_t> chunk;
  for (size_t begin = 0; begin < values.size(); begin += kChunk) {
    const auto part = values.subspan(begin, std::min(kChunk, values.size() - begin));
    chunk.resize(part.size());
    std::transform(part.begin(), part.end(), chunk.begin(), Bf16FromFloat);
    RW_RETURN_IF_ERROR(out.Append({reinterpret_cast<const char*>(chunk.data()), 2 * part.size()}));
  }
  return absl::OkStatus();
}

absl::Status InFile(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<SafetensorsFile>> SafetensorsFile::Open(const std::string& path) {
  auto result = std::unique_ptr<SafetensorsFile>(new SafetensorsFile());
  RW_ASSIGN_OR_RETURN(result->file_, MappedFile::Open(path));
  const std::string_view file = result->file_->bytes();
  const absl::StatusOr<Json> header = ParseHeader(file);
  if (!header.ok()) {
    // Only now: a header's length can begin like another kind's mark, as 640 does like a pickle's.
    const std::string_view kind = ForeignFileKind(file);
    return InFile(path, kind.empty() ? header.status() : absl::DataLossError(std::string(kind)));
  }
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, file.data(), 8);
  result->header_ = file.substr(0, 8 + header_bytes);
  const std::string_view data = file.substr(8 + header_bytes);
  for (const auto& [name, entry] : header->items()) {
    if (name == kMetadataKey) {
      for (const auto& [key, value] : entry.items()) {
        if (value.is_string()) result->metadata_[key] = value.get<std::string>();
      }
      continue;
    }
    absl::StatusOr<SafetensorsTensor> tensor = ParseEntry(name, entry, data);
    if (!tensor.ok()) return InFile(path, tensor.status());
    result->tensors_.push_back(*std::move(tensor));
  }
  std::vector<SafetensorsTensor>& tensors = result->tensors_;
  std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) {
    return std::pair(a.bytes.data(), a.bytes.size()) < std::pair(b.bytes.data(), b.bytes.size());
  });
  if (absl::Status status = CheckCoverage(tensors, data); !status.ok()) return InFile(path, status);
  for (size_t i = 0; i < tensors.size(); ++i) result->index_[tensors[i].name] = i;
  return result;
}

const SafetensorsTensor* SafetensorsFile::Find(const std::string& name) const {
  const auto it = index_.find(name);
  return it == index_.end() ? nullptr : &tensors_[it->second];
}

absl::StatusOr<HostTensor> SafetensorsFile::Read(const SafetensorsTensor& tensor) const {
  HostTensor result{tensor.shape, std::vector<float>(tensor.num_elements)};
  RW_RETURN_IF_ERROR(Read(tensor, /*begin=*/0, result.values));
  return result;
}

absl::Status SafetensorsFile::Read(const SafetensorsTensor& tensor, int64_t begin,
                                   std::span<float> out) const {
  const auto size = static_cast<int64_t>(out.size());
  RW_CHECK(begin >= 0 && begin + size <= tensor.num_elements) << tensor.name;
  if (tensor.dtype == "F32") {
    if (size == 0) return absl::OkStatus();
    const std::string_view bytes = tensor.bytes.substr(4 * begin, out.size_bytes());
    MapPages(bytes);
    std::memcpy(out.data(), bytes.data(), bytes.size());
    return absl::OkStatus();
  }
  if (tensor.dtype != "F16" && tensor.dtype != "BF16") {
    return absl::InvalidArgumentError(absl::StrCat(path(), ": tensor ", tensor.name, " is ",
                                                   tensor.dtype,
                                                   "; weights must be F32, F16 or BF16"));
  }
  const char* bytes = tensor.bytes.data() + 2 * begin;
  const auto widen = tensor.dtype == "BF16" ? FloatFromBf16 : FloatFromF16;
  for (int64_t i = 0; i < size; ++i) out[i] = widen(Load<uint16_t>(bytes, i));
  return absl::OkStatus();
}

absl::Status WriteSafetensors(
    WritableFile& out, std::span<const SafetensorsShape> shapes, WeightFormat format,
    absl::FunctionRef<absl::StatusOr<std::span<const float>>(size_t)> values_of,
    const std::map<std::string, std::string>& metadata) {
  RW_ASSIGN_OR_RETURN(const Json header, MakeHeader(shapes, format, metadata));
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // the tensors begin at a multiple of 8 bytes
  const uint64_t header_bytes = text.size();
  RW_RETURN_IF_ERROR(out.Append({reinterpret_cast<const char*>(&header_bytes), 8}));
  RW_RETURN_IF_ERROR(out.Append(text));
  for (size_t i = 0; i < shapes.size(); ++i) {
    RW_ASSIGN_OR_RETURN(const std::span<const float> values, values_of(i));
    RW_CHECK(NumElements(shapes[i].shape) == static_cast<int64_t>(values.size())) << shapes[i].name;
    RW_RETURN_IF_ERROR(AppendValues(out, values, format));
  }
  return absl::OkStatus();
}

absl::Status WriteSafetensors(WritableFile& out, std::span<const SafetensorsEntry> tensors,
                              WeightFormat format,
                              const std::map<std::string, std::string>& metadata) {
  std::vector<SafetensorsShape> shapes;
  for (const SafetensorsEntry& tensor : tensors) shapes.push_back({tensor.name, tensor.shape});
  const auto values_of = [&](size_t i) -> absl::StatusOr<std::span<const float>> {
    return tensors[i].values;
  };
  return WriteSafetensors(out, shapes, format, values_of, metadata);
}

}  // namespace routewright
