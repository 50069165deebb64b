#include "rollout_workers/pool/protocols/protocols.h"

#include "common/check.h"
#include "common/kind_table.h"
#include "rollout_workers/pool/protocols/openai_chat.h"

namespace routewright {
namespace {

struct Row {
  PoolModelConfig::Protocol name;
  const PoolProtocol& (*protocol)();
};

constexpr Row kProtocols[] = {
    {PoolModelConfig::PROTOCOL_OPENAI_CHAT, OpenAiChat},
};

static_assert(HasARowOfEach(kProtocols, PoolModelConfig::Protocol_ARRAYSIZE),
              "kProtocols needs a row of each Protocol of config.proto, in its order");

}  // namespace

const PoolProtocol& ProtocolOf(const PoolModelConfig& model) {
  RW_CHECK(model.protocol() != PoolModelConfig::PROTOCOL_UNSPECIFIED) << "no protocol";
  return kProtocols[model.protocol() - 1].protocol();
}

}  // namespace routewright
