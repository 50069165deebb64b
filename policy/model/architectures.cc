#include "policy/model/architectures.h"

namespace routewright {
namespace {

constexpr ArchitectureFacts kArchitectures[] = {
    {.name = Architecture::kLlama,
     .model_type = "llama",
     .transformers_class = "LlamaForCausalLM",
     .default_positions = 2048,
     .unsupported = {"attention_bias", "mlp_bias"},
     .has_gguf_row_order = true},
    {.name = Architecture::kQwen2,
     .model_type = "qwen2",
     .transformers_class = "Qwen2ForCausalLM",
     .parts = {.is_qkv_biased = true},
     .default_positions = 32768,
     .unsupported = {"use_sliding_window"}},
    {.name = Architecture::kQwen3,
     .model_type = "qwen3",
     .transformers_class = "Qwen3ForCausalLM",
     .parts = {.is_qk_normed = true},
     .default_head_width = 128,
     .default_positions = 32768,
     .unsupported = {"use_sliding_window", "attention_bias"}},
};

constexpr bool HasARowOfEachArchitecture() {
  int value = 0;
  for (const ArchitectureFacts& row : kArchitectures) {
    if (static_cast<int>(row.name) != value++) return false;
  }
  return value == static_cast<int>(Architecture::kLast) + 1;
}
static_assert(HasARowOfEachArchitecture(),
              "kArchitectures needs a row of each Architecture, in its order");

}  // namespace

std::span<const ArchitectureFacts> Architectures() { return kArchitectures; }

const ArchitectureFacts& FactsOf(Architecture architecture) {
  return kArchitectures[static_cast<int>(architecture)];
}

}  // namespace routewright
