// The table of architectures: what differs from one to the next besides its mathematics.
#pragma once

#include <cstdint>
#include <span>

namespace routewright {

enum class Architecture { kLlama, kQwen2, kQwen3 };

// What a block has beside what every block has.
struct BlockParts {
  bool is_qkv_biased = false;  // queries, keys and values have biases
  bool is_qk_normed = false;   // RMSNorm of each query and key head
};

struct ArchitectureFacts {
  Architecture name;
  const char* model_type;          // of config.json; general.architecture of GGUF files
  const char* transformers_class;  // of config.json's "architectures"
  BlockParts parts = {};
  int64_t default_head_width = 0;      // where config.json has no head_dim; 0: width / heads
  int64_t default_positions = 0;       // where it has no max_position_embeddings
  double default_norm_epsilon = 1e-6;  // where it has no rms_norm_eps
  const char* unsupported[2] = {};     // keys that must not be true: parts that the blocks lack
  bool has_gguf_row_order = false;     // GGUF files have rows of queries and keys in another order
};

// In the enum's order.
std::span<const ArchitectureFacts> Architectures();
const ArchitectureFacts& FactsOf(Architecture architecture);
inline const char* ArchitectureName(Architecture architecture) {
  return FactsOf(architecture).model_type;
}

}  // namespace routewright
