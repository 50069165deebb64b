#include "policy/model/architectures.h"

#include <iterator>

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

// The place of its row; a value that is not here does not compile (-Wswitch).
constexpr size_t PlaceOf(Architecture architecture) {
  switch (architecture) {
    case Architecture::kLlama:
      return 0;
    case Architecture::kQwen2:
      return 1;
    case Architecture::kQwen3:
      return 2;
  }
  return std::size(kArchitectures);
}

constexpr bool AreRowsInPlace() {
  for (size_t i = 0; i < std::size(kArchitectures); ++i) {
    if (PlaceOf(kArchitectures[i].name) != i) return false;
  }
  return true;
}
static_assert(AreRowsInPlace(), "kArchitectures has its rows in PlaceOf's order");

}  // namespace

std::span<const ArchitectureFacts> Architectures() { return kArchitectures; }

const ArchitectureFacts& FactsOf(Architecture architecture) {
  return kArchitectures[PlaceOf(architecture)];
}

}  // namespace routewright
