#include "common/config_digest.h"

#include <string>

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include "common/random.h"

namespace switchyard {
namespace {

std::string Serialize(const google::protobuf::Message& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

}  // namespace

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
  return StreamKey(0, Serialize(relevant), 0);
}

}  // namespace switchyard
