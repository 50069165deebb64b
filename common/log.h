// One event a line on stderr (and into a file once SetLogFile is called):
//   2026-01-02T03:04:05.678Z I trainer rank=0 step=12 loss=0.5 | what happened
// Control characters in values are escaped. Thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace switchyard {

enum class LogLevel { kInfo, kWarning, kError };

// Also writes every line to `path` (appended; folders are made).
absl::Status SetLogFile(const std::string& path);
// Keeps info lines off stderr (a progress bar owns the terminal); warnings and errors still go there.
void SetLogQuiet(bool is_quiet);
void Log(LogLevel level, std::string_view message);

template <typename... Args>
void LogInfo(const Args&... args) { Log(LogLevel::kInfo, absl::StrCat(args...)); }
template <typename... Args>
void LogWarning(const Args&... args) { Log(LogLevel::kWarning, absl::StrCat(args...)); }
template <typename... Args>
void LogError(const Args&... args) { Log(LogLevel::kError, absl::StrCat(args...)); }

}  // namespace switchyard
