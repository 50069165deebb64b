#include "common/check.h"

#include <cstdio>
#include <cstdlib>
#include <string>

namespace routewright {
namespace {
std::string& MutableProcessName() {
  static auto* name = new std::string("routewright");
  return *name;
}
}  // namespace

void SetProcessName(const char* name) { MutableProcessName() = name; }
const char* ProcessName() { return MutableProcessName().c_str(); }

CheckFailure::CheckFailure(const char* file, int line, const char* condition) {
  stream_ << ProcessName() << ": check failed at " << file << ":" << line << ": " << condition
          << " ";
}

CheckFailure::~CheckFailure() {
  std::fprintf(stderr, "%s\n", stream_.str().c_str());
  std::fflush(stderr);
  std::abort();
}

}  // namespace routewright
