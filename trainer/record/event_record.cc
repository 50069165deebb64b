#include "trainer/record/event_record.h"

#include <algorithm>
#include <bit>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/crc32c.h"

namespace routewright {
namespace {

constexpr int kNumBuckets = 30;

template <typename T>
void AppendLittleEndian(T number, std::string& out) {
  for (size_t i = 0; i < sizeof(T); ++i) out += static_cast<char>(number >> (8 * i));
}

template <typename T>
T ReadLittleEndian(std::string_view bytes) {
  T number = 0;
  for (size_t i = 0; i < sizeof(T); ++i) {
    number |= static_cast<T>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  }
  return number;
}

uint32_t MaskedCrc(std::string_view data) { return std::rotr(Crc32c(data), 15) + 0xA282EAD8u; }

tensorboard::Tensor* Begin(const std::string& tag, const char* plugin,
                           tensorboard::DataClass data_class, tensorboard::DataType type,
                           tensorboard::Summary::Value* value) {
  value->set_tag(tag);
  value->mutable_metadata()->mutable_plugin_data()->set_plugin_name(plugin);
  value->mutable_metadata()->set_data_class(data_class);
  value->mutable_tensor()->set_dtype(type);
  value->mutable_tensor()->mutable_tensor_shape();
  return value->mutable_tensor();
}

}  // namespace

std::string EventToRecord(const tensorboard::Event& event) {
  const std::string data = event.SerializeAsString();
  std::string record;
  AppendLittleEndian(static_cast<uint64_t>(data.size()), record);
  AppendLittleEndian(MaskedCrc(record), record);
  record += data;
  AppendLittleEndian(MaskedCrc(data), record);
  return record;
}

std::string RecordsBefore(int64_t step, std::string_view records) {
  constexpr size_t kHeadBytes = 12, kTailBytes = 4;
  std::string kept;
  while (records.size() >= kHeadBytes) {
    const auto length = ReadLittleEndian<uint64_t>(records);
    const bool is_head_whole =
        ReadLittleEndian<uint32_t>(records.substr(8)) == MaskedCrc(records.substr(0, 8));
    if (!is_head_whole || records.size() - kHeadBytes < kTailBytes ||
        length > records.size() - kHeadBytes - kTailBytes) {
      break;
    }
    const std::string_view data = records.substr(kHeadBytes, length);
    const size_t num_bytes = kHeadBytes + length + kTailBytes;
    tensorboard::Event event;
    if (ReadLittleEndian<uint32_t>(records.substr(kHeadBytes + length)) != MaskedCrc(data) ||
        !event.ParseFromArray(data.data(), static_cast<int>(data.size()))) {
      break;
    }
    if (!event.has_summary() || event.step() < step) kept += records.substr(0, num_bytes);
    records.remove_prefix(num_bytes);
  }
  return kept;
}

void SetScalar(const std::string& tag, double scalar, tensorboard::Summary::Value* value) {
  Begin(tag, "scalars", tensorboard::DATA_CLASS_SCALAR, tensorboard::DT_FLOAT, value)
      ->add_float_val(static_cast<float>(scalar));
}

void SetHistogram(const std::string& tag, std::span<const double> samples,
                  tensorboard::Summary::Value* value) {
  tensorboard::Tensor* const tensor =
      Begin(tag, "histograms", tensorboard::DATA_CLASS_TENSOR, tensorboard::DT_DOUBLE, value);
  std::vector<double> counts;
  double left = 0.0, width = 1.0;
  if (!samples.empty()) {
    const auto [least, most] = std::minmax_element(samples.begin(), samples.end());
    const bool is_flat = *least == *most;
    counts.assign(is_flat ? 1 : kNumBuckets, 0.0);
    left = is_flat ? *least - 0.5 : *least;
    if (!is_flat) width = (*most - *least) / kNumBuckets;
  }
  for (const double sample : samples) {
    const auto bucket = static_cast<size_t>((sample - left) / width);
    counts[std::min(bucket, counts.size() - 1)] += 1.0;  // the last has its right edge too
  }
  for (size_t i = 0; i < counts.size(); ++i) {
    tensor->add_double_val(left + width * static_cast<double>(i));
    tensor->add_double_val(left + width * static_cast<double>(i + 1));
    tensor->add_double_val(counts[i]);
  }
  tensor->mutable_tensor_shape()->add_dim()->set_size(static_cast<int64_t>(counts.size()));
  tensor->mutable_tensor_shape()->add_dim()->set_size(3);
}

void SetText(const std::string& tag, const std::string& text, tensorboard::Summary::Value* value) {
  Begin(tag, "text", tensorboard::DATA_CLASS_TENSOR, tensorboard::DT_STRING, value)
      ->add_string_val(absl::StrCat("    ", absl::StrReplaceAll(text, {{"\n", "\n    "}})));
}

}  // namespace routewright
