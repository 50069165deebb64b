#include "rollout_workers/pool/protocols/protocols.h"

#include <iterator>

#include "common/check.h"
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

constexpr bool HasARowOfEach() {
  for (int value = 1; value < PoolModelConfig::Protocol_ARRAYSIZE; ++value) {
    if (value > std::ssize(kProtocols) || kProtocols[value - 1].name != value) return false;
  }
  return std::ssize(kProtocols) == PoolModelConfig::Protocol_ARRAYSIZE - 1;
}
static_assert(HasARowOfEach(),
              "kProtocols needs a row of each Protocol of config.proto, in its order");

}  // namespace

const PoolProtocol& ProtocolOf(const PoolModelConfig& model) {
  RW_CHECK(model.protocol() != PoolModelConfig::PROTOCOL_UNSPECIFIED) << "no protocol";
  return kProtocols[model.protocol() - 1].protocol();
}

}  // namespace routewright
