#include "common/log.h"

#include <cstdio>
#include <filesystem>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/file_system.h"
#include "common/status_macros.h"

namespace routewright {
namespace {

struct Sink {
  absl::Mutex mutex;
  std::unique_ptr<WritableFile> file ABSL_GUARDED_BY(mutex);
  bool is_quiet ABSL_GUARDED_BY(mutex) = false;
};

Sink& TheSink() {
  static auto* sink = new Sink;
  return *sink;
}

// One line whatever the message holds: C0 and C1 control characters and DEL become
// \xNN, new lines \n, tabs \t.
std::string Escape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const unsigned char c = text[i];
    const bool is_c1 = c == 0xC2 && i + 1 < text.size() &&
                       static_cast<unsigned char>(text[i + 1]) >= 0x80 &&
                       static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (is_c1) {
      absl::StrAppendFormat(&out, "\\x%02x", static_cast<unsigned char>(text[++i]));
    } else if (c < 0x20 || c == 0x7F) {
      absl::StrAppendFormat(&out, "\\x%02x", c);
    } else {
      out += static_cast<char>(c);
    }
  }
  return out;
}

char Letter(LogLevel level) {
  switch (level) {
    case LogLevel::kInfo:
      return 'I';
    case LogLevel::kWarning:
      return 'W';
    case LogLevel::kError:
      return 'E';
  }
  return '?';
}

}  // namespace

absl::Status SetLogFile(const std::string& path) {
  FileSystem& files = FileSystem::Posix();
  RW_RETURN_IF_ERROR(files.CreateFolders(std::filesystem::path(path).parent_path().string()));
  RW_ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file, files.OpenForAppend(path));
  Sink& sink = TheSink();
  absl::MutexLock lock(&sink.mutex);
  sink.file = std::move(file);
  return absl::OkStatus();
}

void SetLogQuiet(bool is_quiet) {
  Sink& sink = TheSink();
  absl::MutexLock lock(&sink.mutex);
  sink.is_quiet = is_quiet;
}

void Log(LogLevel level, std::string_view message) {
  const std::string line = absl::StrCat(
      absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", Clock::Real().Now(), absl::UTCTimeZone()), " ",
      std::string(1, Letter(level)), " ", ProcessName(), " ", Escape(message), "\n");
  Sink& sink = TheSink();
  absl::MutexLock lock(&sink.mutex);
  if (level != LogLevel::kInfo || !sink.is_quiet) {
    std::fwrite(line.data(), 1, line.size(), stderr);
    std::fflush(stderr);
  }
  if (sink.file == nullptr) return;
  if (absl::Status status = sink.file->Append(line); !status.ok()) {
    sink.file.reset();  // say it once, then go on with stderr alone
    std::fprintf(stderr, "%s: the log file is closed: %s\n", ProcessName(),
                 std::string(status.message()).c_str());
  }
}

}  // namespace routewright
