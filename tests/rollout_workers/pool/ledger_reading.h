// What a ledger's folder holds, for tests.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "common/file_system.h"

namespace routewright {

// The text of all its files, in the order of their names.
inline std::string LedgerText(const std::string& folder) {
  std::string text;
  const std::vector<std::string> names = *FileSystem::Posix().List(folder);
  for (const std::string& name : names) {
    text += *FileSystem::Posix().Read(folder + "/" + name);
  }
  return text;
}

inline std::vector<nlohmann::json> ReadLedger(const std::string& folder) {
  std::vector<nlohmann::json> lines;
  for (const std::string& line :
       std::vector<std::string>(absl::StrSplit(LedgerText(folder), '\n', absl::SkipEmpty()))) {
    lines.push_back(nlohmann::json::parse(line));
  }
  return lines;
}

}  // namespace routewright
