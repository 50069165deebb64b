#include "policy/formats/gguf_policy.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/status_macros.h"

namespace routewright {
namespace {

constexpr const char* kRopeFactors = "rope_freqs.weight";

// Rows of each head: pair (i, i + D/2) lies at (2i, 2i + 1) in the file.
void UndoRowOrder(int64_t num_heads, HostTensor* tensor) {
  const int64_t head_rows = tensor->shape[0] / num_heads;
  const int64_t row_size = static_cast<int64_t>(tensor->values.size()) / tensor->shape[0];
  const std::vector<float> stored = tensor->values;
  for (int64_t head = 0; head < num_heads; ++head) {
    for (int64_t row = 0; row < head_rows; ++row) {
      const int64_t half = head_rows / 2;
      const int64_t source = row < half ? 2 * row : 2 * (row - half) + 1;
      std::copy_n(stored.begin() + (head * head_rows + source) * row_size, row_size,
                  tensor->values.begin() + (head * head_rows + row) * row_size);
    }
  }
}

// The metadata as the keys of a config.json, so that ParseModelConfig checks them all.
absl::StatusOr<nlohmann::json> ConfigJson(const GgufFile& file, const std::string& architecture) {
  nlohmann::json json;
  json["model_type"] = architecture;
  const auto copy = [&](const char* from, const char* to) {
    const std::string key = absl::StrCat(architecture, ".", from);
    if (const int64_t* integer = file.Get<int64_t>(key)) json[to] = *integer;
    if (const double* real = file.Get<double>(key)) json[to] = *real;
  };
  copy("embedding_length", "hidden_size");
  copy("block_count", "num_hidden_layers");
  copy("feed_forward_length", "intermediate_size");
  copy("attention.head_count", "num_attention_heads");
  copy("attention.head_count_kv", "num_key_value_heads");
  copy("attention.key_length", "head_dim");
  copy("context_length", "max_position_embeddings");
  copy("rope.freq_base", "rope_theta");
  copy("attention.layer_norm_rms_epsilon", "rms_norm_eps");
  const GgufTensor* embedding = file.Find("token_embd.weight");
  if (embedding == nullptr || embedding->shape.size() != 2) {
    return absl::DataLossError("tensor token_embd.weight is missing or not a matrix");
  }
  json["vocab_size"] = embedding->shape[0];
  json["tie_word_embeddings"] = file.Find("output.weight") == nullptr;
  for (const char* key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"}) {
    if (const int64_t* id = file.Get<int64_t>(key)) json["eos_token_id"].push_back(*id);
  }
  return json;
}

// The scaling is not in the metadata but in factors per frequency. Llama 3.1 and later all
// have low 1, high 4 and 8192.
absl::Status ReadRopeFactors(const GgufFile& file, ModelConfig* config) {
  const GgufTensor* tensor = file.Find(kRopeFactors);
  if (tensor == nullptr) return absl::OkStatus();
  RW_ASSIGN_OR_RETURN(const HostTensor factors, file.Read(*tensor));
  const std::vector<double> plain = config->RopeFrequencies();
  const auto fail = [] {
    return absl::InvalidArgumentError(
        "tensor rope_freqs.weight is not Llama 3's scaling, the only one that is supported");
  };
  if (factors.values.size() != plain.size()) return fail();
  config->rope_scaling.factor = *std::max_element(factors.values.begin(), factors.values.end());
  if (!(config->rope_scaling.factor >= 1)) return fail();
  const std::vector<double> scaled = config->RopeFrequencies();
  for (size_t i = 0; i < plain.size(); ++i) {
    if (std::abs(plain[i] / scaled[i] - factors.values[i]) > 1e-3 * factors.values[i])
      return fail();
  }
  return absl::OkStatus();
}

absl::Status InFile(const GgufFile& file, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(file.path(), ": ", status.message()));
}

}  // namespace

absl::StatusOr<ModelConfig> ModelConfigFromGguf(const GgufFile& file) {
  const std::string* architecture = file.Get<std::string>("general.architecture");
  if (architecture == nullptr) {
    return InFile(file, absl::InvalidArgumentError("the key general.architecture is missing"));
  }
  const std::string prefix = *architecture + ".";
  const std::string* scaling = file.Get<std::string>(prefix + "rope.scaling.type");
  if (scaling != nullptr && *scaling != "none") {
    return InFile(file, absl::InvalidArgumentError(absl::StrCat(prefix, "rope.scaling.type ",
                                                                *scaling, " is not supported")));
  }
  const absl::StatusOr<nlohmann::json> json = ConfigJson(file, *architecture);
  if (!json.ok()) return InFile(file, json.status());
  RW_ASSIGN_OR_RETURN(
      ModelConfig config,
      ParseModelConfig(json->dump(-1, ' ', false, nlohmann::json::error_handler_t::replace),
                       file.path()));
  const int64_t* rotated = file.Get<int64_t>(prefix + "rope.dimension_count");
  if (rotated != nullptr && *rotated != config.head_width) {
    return InFile(file, absl::InvalidArgumentError(
                            absl::StrCat(prefix, "rope.dimension_count ", *rotated,
                                         " must equal the head's width ", config.head_width)));
  }
  const absl::Status status = ReadRopeFactors(file, &config);
  if (!status.ok()) return InFile(file, status);
  return config;
}

absl::StatusOr<TensorSource> TensorsOfGguf(std::shared_ptr<const GgufFile> file,
                                           const ModelConfig& config) {
  const ParameterLayout layout(config, HeadKind::kLanguageModel);
  size_t num_expected = file->Find(kRopeFactors) == nullptr ? 0 : 1;
  for (const BlockLayout& block : layout.blocks()) {
    for (const TensorSlot& slot : block.tensors) {
      const std::string name = slot.gguf_name;
      const GgufTensor* tensor = file->Find(name);
      if (tensor == nullptr || tensor->shape != slot.shape) {
        return InFile(*file,
                      absl::DataLossError(absl::StrCat(
                          "tensor ", name, tensor == nullptr ? " is missing" : " has another shape",
                          ", the metadata asks for [", absl::StrJoin(slot.shape, ", "), "]")));
      }
      ++num_expected;
    }
  }
  if (file->tensors().size() != num_expected) {
    return InFile(*file, absl::DataLossError(absl::StrCat("holds ", file->tensors().size(),
                                                          " tensors, the metadata describes ",
                                                          num_expected)));
  }
  return [file = std::move(file), config](const TensorSlot& slot) -> absl::StatusOr<HostTensor> {
    RW_ASSIGN_OR_RETURN(HostTensor values, file->Read(*file->Find(slot.gguf_name)));
    if (FactsOf(config.architecture).has_gguf_row_order) {
      if (absl::StrContains(slot.name, "q_proj")) UndoRowOrder(config.num_heads, &values);
      if (absl::StrContains(slot.name, "k_proj")) UndoRowOrder(config.num_kv_heads, &values);
    }
    return values;
  };
}

}  // namespace routewright
