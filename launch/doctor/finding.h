// What `routewright doctor` found: one line each.
#pragma once

#include <string>
#include <vector>

namespace routewright {

struct Finding {
  enum class Level { kOk, kWarning, kFailure };
  Level level = Level::kOk;
  std::string subject;  // "pool Atlas"
  std::string text;     // what is so
  std::string remedy;   // what to do; empty if kOk
};
using Findings = std::vector<Finding>;

inline Finding Ok(std::string subject, std::string text) {
  return {Finding::Level::kOk, std::move(subject), std::move(text), ""};
}
inline Finding Warning(std::string subject, std::string text, std::string remedy) {
  return {Finding::Level::kWarning, std::move(subject), std::move(text), std::move(remedy)};
}
inline Finding Failure(std::string subject, std::string text, std::string remedy) {
  return {Finding::Level::kFailure, std::move(subject), std::move(text), std::move(remedy)};
}

}  // namespace routewright
