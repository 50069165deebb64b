// Lines in, lines out, for the commands that answer each stdin line with one stdout line: lines are
// taken as they come, several may be in work at once, and their answers are printed in the lines'
// order. A bad line is named on stderr and the others are still answered. One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"

namespace routewright {

class JsonLines {
 public:
  struct Line {
    int64_t number = 0;  // from 1
    std::string text;    // not blank
  };

  // `command` names the program's command in messages; reads file descriptor `input`, not owned.
  explicit JsonLines(const char* command, int input = 0);

  // The next line; without may_wait only one that is there already. nullopt: none
  // yet, the end, or an error.
  std::optional<Line> Next(bool may_wait);
  // No further line will come.
  bool is_at_end() const { return is_at_end_; }

  // A line's answer, once; printed when the lines before it have theirs.
  void Answer(int64_t number, std::string text);
  // The line cannot be answered: says so on stderr.
  void Refuse(int64_t number, const absl::Status& status);

  // Not ok: reading or writing failed, stop.
  const absl::Status& status() const { return status_; }
  // What the command exits with, after saying why on stderr if it has not been said.
  int ExitCode() const;

 private:
  bool Read(bool may_wait);
  void Settle(int64_t number, std::optional<std::string> text);

  const char* command_;
  int input_;
  std::string buffer_;  // read, not yet given out
  int64_t next_number_ = 1;
  bool has_ended_ = false;  // the input, though not perhaps the buffer
  bool is_at_end_ = false;
  std::deque<int64_t> open_;  // given out, not yet settled and printed, in order
  std::map<int64_t, std::optional<std::string>> settled_;
  bool has_refused_ = false;
  absl::Status status_;
};

}  // namespace routewright
