#include <algorithm>
#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/config/run_rules.h"

namespace routewright {
namespace {

// Names that the policy can write between <search> and the first colon, each belonging to one
// model.
class NameTable {
 public:
  explicit NameTable(std::vector<std::string>& violations) : violations_(violations) {}

  void Add(const std::string& key, const std::string& name) {
    if (name.empty()) return;  // "required" says so already
    if (absl::StripAsciiWhitespace(name) != name ||
        name.find_first_of(":<>\n\r\t") != std::string::npos) {
      violations_.push_back(
          absl::StrCat(key, ": '", name,
                       "' cannot be called: a name has no colon, no < or >, no line "
                       "break and no white space around it"));
    }
    const auto [first, is_new] = owners_.emplace(absl::AsciiStrToLower(name), key);
    if (!is_new) {
      violations_.push_back(absl::StrCat(key, ": '", name, "' is the name at ", first->second,
                                         " too (upper and lower case are the same)"));
    }
  }

 private:
  std::vector<std::string>& violations_;
  std::map<std::string, std::string> owners_;  // lower-cased name → the key where it is given
};

void CheckModel(const PoolModelConfig& model, const std::string& key,
                std::vector<std::string>& violations) {
  const std::string& url = model.base_url();
  if (!url.empty() && !absl::StartsWith(url, "http://") && !absl::StartsWith(url, "https://") &&
      !absl::StartsWith(url, "${")) {
    violations.push_back(
        absl::StrCat(key, ".base_url: '", url, "' does not begin with http:// or https://"));
  }
  if (model.has_cached_input_price() && model.cached_input_price() > model.input_price()) {
    violations.push_back(absl::StrCat(key, ".cached_input_price: ", model.cached_input_price(),
                                      " is more than input_price (", model.input_price(), ")"));
  }
  if (!model.api_key_env().empty() && !model.api_key_file().empty()) {
    violations.push_back(
        absl::StrCat(key, ".api_key_file: api_key_env is set too: keep one of them"));
  }
}

}  // namespace

bool HasPrices(const PoolConfig& pool) {
  return std::any_of(pool.models().begin(), pool.models().end(), [](const PoolModelConfig& model) {
    return model.input_price() > 0 || model.output_price() > 0;
  });
}

void CheckPoolRules(const PoolConfig& pool, std::vector<std::string>& violations) {
  NameTable names(violations);
  for (int i = 0; i < pool.models_size(); ++i) {
    const std::string key = absl::StrCat("pool.models.", i);
    names.Add(key + ".name", pool.models(i).name());
    for (int j = 0; j < pool.models(i).aliases_size(); ++j) {
      names.Add(absl::StrCat(key, ".aliases.", j), pool.models(i).aliases(j));
    }
    CheckModel(pool.models(i), key, violations);
  }
  if (pool.connect_timeout_s() > pool.call_timeout_s()) {
    violations.push_back(absl::StrCat("pool.connect_timeout_s: ", pool.connect_timeout_s(),
                                      " is more than call_timeout_s (", pool.call_timeout_s(),
                                      ")"));
  }
  if (pool.call_timeout_s() > pool.total_timeout_s()) {
    violations.push_back(absl::StrCat("pool.call_timeout_s: ", pool.call_timeout_s(),
                                      " is more than total_timeout_s (", pool.total_timeout_s(),
                                      ")"));
  }
  if (pool.max_retries() > 0 && pool.retry_base_s() > pool.retry_max_s()) {
    violations.push_back(absl::StrCat("pool.retry_base_s: ", pool.retry_base_s(),
                                      " is more than retry_max_s (", pool.retry_max_s(), ")"));
  }
}

void CheckEmulatorRules(const PoolEmulatorConfig& emulator, std::vector<std::string>& violations) {
  NameTable names(violations);
  for (int i = 0; i < emulator.models_size(); ++i) {
    const std::string key = absl::StrCat("pool_emulator.models.", i);
    names.Add(key + ".name", emulator.models(i).name());
    if (emulator.models(i).failure_rate() + emulator.models(i).rate_limit_rate() > 1) {
      violations.push_back(
          absl::StrCat(key, ".failure_rate: with rate_limit_rate it is more than 1"));
    }
  }
}

}  // namespace routewright
