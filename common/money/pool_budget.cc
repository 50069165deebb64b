#include "common/money/pool_budget.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/config/config_loader.h"
#include "common/log.h"
#include "common/money/money.h"
#include "common/status_macros.h"

namespace routewright {
namespace {

// Of a PoolCall's line in proto3's JSON. No text in it can hold the words: its quotes are escaped.
bool ParseCost(std::string_view line, int64_t& cost_picousd) {
  constexpr std::string_view kKey = "\"cost_picousd\":\"";
  const size_t begin = line.find(kKey);
  if (begin == std::string_view::npos) return false;
  const std::string_view rest = line.substr(begin + kKey.size());
  const std::string_view digits = rest.substr(0, rest.find('"'));
  return absl::SimpleAtoi(absl::string_view(digits.data(), digits.size()), &cost_picousd) &&
         cost_picousd >= 0;
}

}  // namespace

absl::StatusOr<int64_t> LedgerTotal::Update() {
  std::error_code error;
  std::filesystem::directory_iterator entries(folder_, error);
  if (error == std::errc::no_such_file_or_directory) return 0;
  while (!error && entries != std::filesystem::directory_iterator()) {
    const std::filesystem::path& path = entries->path();
    if (path.extension() == ".jsonl") {
      RW_RETURN_IF_ERROR(ReadOn(path.string(), files_[path.filename().string()]));
    }
    entries.increment(error);
  }
  if (error) {
    return absl::UnavailableError(absl::StrCat("cannot list ", folder_, ": ", error.message()));
  }
  int64_t total = 0;
  for (const auto& [name, file] : files_) total += file.cost_picousd;
  return total;
}

absl::Status LedgerTotal::ReadOn(const std::string& path, File& file) const {
  std::ifstream stream(path, std::ios::binary);  // first: network file systems then look anew
  std::error_code error;
  const auto size = static_cast<int64_t>(std::filesystem::file_size(path, error));
  if (stream && !error && size == file.num_bytes) return absl::OkStatus();
  stream.seekg(file.num_bytes);
  std::string line;
  while (std::getline(stream, line) && !stream.eof()) {  // at the end of the file it is not whole
    int64_t cost_picousd = 0;
    ++file.num_lines;
    if (!ParseCost(line, cost_picousd)) {
      return absl::DataLossError(absl::StrCat(
          path, ":", file.num_lines,
          ": no line of a pool ledger, so what the run has spent is not known; mend or remove it"));
    }
    file.cost_picousd += cost_picousd;
    file.num_bytes += static_cast<int64_t>(line.size()) + 1;
  }
  if (error || stream.bad() || !stream.eof()) {
    return absl::UnavailableError(absl::StrCat("cannot read ", path, ": ", std::strerror(errno)));
  }
  return absl::OkStatus();
}

PoolBudget::PoolBudget(const RunConfig& config, Clock* clock)
    : limit_usd_(config.run().budget_usd()), clock_(clock), total_(PoolLedgerFolder(config)) {}

absl::Status PoolBudget::Check(int64_t known_picousd) {
  if (!is_limited()) return absl::OkStatus();
  const absl::Time now = clock_->Now();
  if (now >= checked_ && now - checked_ < pause_) return status_;
  checked_ = now;
  const absl::StatusOr<int64_t> sum = total_.Update();
  pause_ = std::max(kCheckEvery, 10 * (clock_->Now() - now));
  if (absl::IsUnavailable(sum.status()) && now - summed_ < kPatience) {
    LogWarning("the budget is not looked at: ", sum.status().message());
    return status_;
  }
  if (!sum.ok()) return status_ = sum.status();
  summed_ = now;
  spent_usd_ = PicousdToUsd(std::max(*sum, known_picousd));
  if (spent_usd_ >= limit_usd_) {
    status_ = absl::ResourceExhaustedError(absl::StrFormat(
        "the run's pool calls have cost $%.6g, and run.budget_usd is $%.6g: raise it and start "
        "again to go on",
        spent_usd_, limit_usd_));
  }
  return status_;
}

}  // namespace routewright
