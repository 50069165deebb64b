// OpenAI's chat completions: a single user message out, streamed with usage asked for; a stream of events or one JSON
// document in. What vLLM, llama.cpp, SGLang, Ollama and most providers speak.
#pragma once

#include "rollout_workers/pool/protocols/pool_protocol.h"

namespace routewright {

const PoolProtocol& OpenAiChat();

}  // namespace routewright
