#include "trainer/record/metrics.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status_macros.h"

namespace routewright {
namespace {

// The shortest decimal that reads back to the same double.
std::string NumberToJson(double value) {
  if (!std::isfinite(value)) return "null";
  char text[32];
  const auto end = std::to_chars(text, text + sizeof(text), value).ptr;
  return std::string(text, end);
}

// What is not UTF-8 is replaced.
std::string QuoteJson(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// The step of a line, or −1 if it is not a whole line of metrics.
int64_t StepOf(const std::string& line) {
  const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  const bool is_whole =
      json.is_object() && json.contains("step") && json["step"].is_number_integer();
  return is_whole ? json["step"].get<int64_t>() : -1;
}

}  // namespace

void Metrics::Append(const Metrics& other) {
  values_.insert(values_.end(), other.values_.begin(), other.values_.end());
}

double Metrics::Get(const std::string& name, double otherwise) const {
  for (const auto& [key, value] : values_) {
    if (key == name) return value;
  }
  return otherwise;
}

bool AreOfStep(const Metrics& metrics) {
  const auto& values = metrics.values();
  return std::any_of(values.begin(), values.end(),
                     [](const auto& value) { return value.first == "step/time_s"; });
}

std::string MetricsToJson(int64_t step, const Metrics& metrics) {
  std::string json = absl::StrCat("{\"step\":", step);
  for (const auto& [name, value] : metrics.values()) {
    absl::StrAppend(&json, ",", QuoteJson(name), ":", NumberToJson(value));
  }
  return json + "}";
}

std::optional<MetricsRow> ParseMetricsRow(const std::string& line) {
  const int64_t step = StepOf(line);
  if (step < 0) return std::nullopt;
  MetricsRow row{step, {}};
  const auto json = nlohmann::ordered_json::parse(line);
  for (const auto& [name, value] : json.items()) {
    if (name == "step") continue;
    if (!value.is_number() && !value.is_null()) return std::nullopt;
    row.metrics.Set(name, value.is_null() ? std::nan("") : value.get<double>());
  }
  return row;
}

absl::StatusOr<MetricsLog> MetricsLog::Open(FileSystem& files, const std::string& path,
                                            int64_t first_step) {
  if (!files.Exists(path)) return MetricsLog(files, path);
  RW_ASSIGN_OR_RETURN(const std::string text, files.Read(path));
  std::string kept;
  for (const std::string& line :
       std::vector<std::string>(absl::StrSplit(text, '\n', absl::SkipEmpty()))) {
    const int64_t step = StepOf(line);
    if (step >= 0 && step < first_step) absl::StrAppend(&kept, line, "\n");
  }
  if (kept != text) RW_RETURN_IF_ERROR(WriteFileAtomically(files, path, kept));
  return MetricsLog(files, path);
}

absl::Status MetricsLog::Write(int64_t step, const Metrics& metrics) {
  RW_ASSIGN_OR_RETURN(const auto file, files_->OpenForAppend(path_));
  RW_RETURN_IF_ERROR(file->Append(MetricsToJson(step, metrics) + "\n"));
  return file->Close();
}

}  // namespace routewright
