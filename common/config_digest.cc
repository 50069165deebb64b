#include "common/config_digest.h"

#include "common/config_loader.h"
#include "common/random.h"

namespace switchyard {

uint64_t WorkerConfigDigest(const RunConfig& config) {
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
  relevant.mutable_policy()->set_chat_template(config.policy().chat_template());
  // As YAML, in which a default that was written out equals one that was not.
  return StreamKey(0, ConfigToYaml(relevant), 0);
}

}  // namespace switchyard
