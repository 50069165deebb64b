// RW_CHECK(condition) << "what went wrong": for our own mistakes only (a shape, an index, a broken
// invariant). Prints rank, file, line and the message on stderr and aborts. For what the world
// does wrong: absl::Status.
#pragma once

#include <sstream>

namespace routewright {

// Names this process in check failures and logs ("trainer rank 2"). Call once, early in main.
void SetProcessName(const char* name);
const char* ProcessName();

// Collects the message of one failed check; its destructor prints it and aborts.
class CheckFailure {
 public:
  CheckFailure(const char* file, int line, const char* condition);
  [[noreturn]] ~CheckFailure();
  std::ostream& stream() { return stream_; }

 private:
  std::ostringstream stream_;
};

// Gives both branches of RW_CHECK's conditional the type void.
struct CheckVoidify {
  void operator&(std::ostream&) {}
};

}  // namespace routewright

#define RW_CHECK(condition)                     \
  (condition) ? (void)0                         \
              : ::routewright::CheckVoidify() & \
                    ::routewright::CheckFailure(__FILE__, __LINE__, #condition).stream()
