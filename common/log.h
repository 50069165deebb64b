// One event a line on stderr (and into a file once SetLogFile is called):
//   2026-01-02T03:04:05.678Z I trainer rank=0 step=12 loss=0.5 | what happened
// Control characters in values are escaped. Thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/absl_view.h"

namespace routewright {

enum class LogLevel { kInfo, kWarning, kError };

// Also writes every line to `path` (appended; folders are made).
absl::Status SetLogFile(const std::string& path);
// Keeps info lines off stderr (a progress bar owns the terminal); warnings and errors still go
// there.
void SetLogQuiet(bool is_quiet);
void Log(LogLevel level, std::string_view message);

namespace log_detail {
inline absl::string_view Part(std::string_view text) { return AbslView(text); }
template <typename T>
const T& Part(const T& value) requires(!std::is_convertible_v<const T&, std::string_view>) {
  return value;
}
}  // namespace log_detail

// LogInfo("step=", 12, " loss=", 0.5): anything that absl::StrCat takes, and std::string_view.
template <typename... Args>
void LogInfo(const Args&... args) {
  Log(LogLevel::kInfo, absl::StrCat(log_detail::Part(args)...));
}
template <typename... Args>
void LogWarning(const Args&... args) {
  Log(LogLevel::kWarning, absl::StrCat(log_detail::Part(args)...));
}
template <typename... Args>
void LogError(const Args&... args) {
  Log(LogLevel::kError, absl::StrCat(log_detail::Part(args)...));
}

}  // namespace routewright
