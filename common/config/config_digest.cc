#include "common/config/config_digest.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/config/config_loader.h"
#include "common/random.h"
#include "common/status_macros.h"

namespace routewright {

absl::StatusOr<uint64_t> WorkerConfigDigest(const RunConfig& config, FileSystem& files) {
  RunConfig relevant;
  *relevant.mutable_prompt() = config.prompt();
  *relevant.mutable_episode() = config.episode();
  *relevant.mutable_pool() = config.pool();
  for (PoolModelConfig& model : *relevant.mutable_pool()->mutable_models()) {
    model.clear_base_url();
    model.clear_api_key_env();
    model.clear_api_key_file();
    model.clear_max_concurrency();
  }
  std::string text;
  for (const std::string& path :
       {config.prompt().template_path(), config.prompt().pool_template_path()}) {
    std::string content;
    if (!path.empty()) {
      RW_ASSIGN_OR_RETURN(content, files.Read(path));
    }
    absl::StrAppend(&text, content.size(), "\n", content);
  }
  relevant.mutable_prompt()->clear_template_path();
  relevant.mutable_prompt()->clear_pool_template_path();
  relevant.mutable_policy()->set_chat_template(config.policy().chat_template());
  // As YAML, in which a default that was written out equals one that was not.
  return StreamKey(0, absl::StrCat(text, ConfigToYaml(relevant)), 0);
}

}  // namespace routewright
