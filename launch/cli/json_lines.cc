#include "launch/cli/json_lines.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "common/text.h"
#include "launch/cli/config_flags.h"

namespace routewright {

JsonLines::JsonLines(const char* command, int input) : command_(command), input_(input) {}

// Appends to the buffer what can be read; false if there is nothing (yet).
bool JsonLines::Read(bool may_wait) {
  pollfd descriptor = {input_, POLLIN, 0};
  int ready = 0;
  do {
    ready = poll(&descriptor, 1, may_wait ? -1 : 0);
  } while (ready < 0 && errno == EINTR);
  if (ready == 0) return false;
  char block[1 << 16];
  ssize_t count = 0;
  do {
    count = read(input_, block, sizeof(block));
  } while (count < 0 && errno == EINTR);
  if (count < 0) status_ = absl::ErrnoToStatus(errno, "cannot read stdin to its end");
  if (count <= 0) {
    has_ended_ = true;
    return false;
  }
  buffer_.append(block, count);
  return true;
}

std::optional<JsonLines::Line> JsonLines::Next(bool may_wait) {
  while (status_.ok() && !is_at_end_) {
    size_t end = buffer_.find('\n');
    while (end == std::string::npos && !has_ended_) {
      if (!Read(may_wait) && !has_ended_) return std::nullopt;
      end = buffer_.find('\n');
    }
    if (end == std::string::npos && buffer_.empty()) {
      is_at_end_ = true;
      break;
    }
    Line line = {next_number_++, buffer_.substr(0, end)};
    buffer_.erase(0, end == std::string::npos ? end : end + 1);
    if (StripWhitespace(line.text).empty()) continue;
    open_.push_back(line.number);
    return line;
  }
  is_at_end_ = true;
  return std::nullopt;
}

void JsonLines::Answer(int64_t number, std::string text) { Settle(number, std::move(text)); }

void JsonLines::Refuse(int64_t number, const absl::Status& status) {
  std::fprintf(stderr, "routewright %s: line %lld: %s\n", command_, static_cast<long long>(number),
               std::string(status.message()).c_str());
  has_refused_ = true;
  Settle(number, std::nullopt);
}

void JsonLines::Settle(int64_t number, std::optional<std::string> text) {
  settled_[number] = std::move(text);
  bool has_printed = false;
  while (!open_.empty()) {
    const auto found = settled_.find(open_.front());
    if (found == settled_.end()) break;
    if (found->second.has_value()) {
      std::fprintf(stdout, "%s\n", found->second->c_str());
      has_printed = true;
    }
    settled_.erase(found);
    open_.pop_front();
  }
  if (has_printed && std::fflush(stdout) != 0) {
    status_ = absl::DataLossError("cannot write the answers to stdout: is the disk full?");
  }
}

int JsonLines::ExitCode() const {
  if (!status_.ok()) return PrintFailure(command_, status_);
  return has_refused_ ? kExitFailed : kExitOk;
}

}  // namespace routewright
