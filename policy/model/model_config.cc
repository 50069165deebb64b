#include "policy/model/model_config.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"

namespace routewright {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMaxDimension = int64_t{1} << 24;  // keeps every product of two within int64
constexpr int64_t kMaxLayers = 4096;

// Reads typed keys of one JSON object; every failure names the file and the key.
class KeyReader {
 public:
  KeyReader(const Json& object, const std::string& origin) : object_(object), origin_(origin) {}

  bool Has(const char* key) const {
    const auto it = object_.find(key);
    return it != object_.end() && !it->is_null();
  }
  const Json& At(const char* key) const { return *object_.find(key); }

  absl::Status Fail(const std::string& what) const {
    return absl::InvalidArgumentError(absl::StrCat(origin_, ": ", what));
  }

  absl::StatusOr<int64_t> Integer(const char* key, std::optional<int64_t> fallback, int64_t low,
                                  int64_t high) const {
    if (!Has(key)) {
      if (fallback.has_value()) return *fallback;
      return Fail(absl::StrCat("the key '", key, "' is missing"));
    }
    const Json& value = At(key);
    if (!value.is_number_integer()) return Fail(absl::StrCat("'", key, "' must be an integer"));
    const bool is_huge = value.is_number_unsigned() && value.get<uint64_t>() > uint64_t{1} << 62;
    const int64_t number = is_huge ? high : value.get<int64_t>();
    if (is_huge || number < low || number > high) {
      return Fail(
          absl::StrCat("'", key, "' is ", value.dump(), ", outside [", low, ", ", high, "]"));
    }
    return number;
  }

  // A positive finite number.
  absl::StatusOr<double> Positive(const char* key, std::optional<double> fallback) const {
    if (!Has(key)) {
      if (fallback.has_value()) return *fallback;
      return Fail(absl::StrCat("the key '", key, "' is missing"));
    }
    const Json& value = At(key);
    const double number = value.is_number() ? value.get<double>() : 0.0;
    if (!(number > 0) || !std::isfinite(number)) {
      return Fail(absl::StrCat("'", key, "' must be a positive number"));
    }
    return number;
  }

  absl::StatusOr<bool> Bool(const char* key, bool fallback) const {
    if (!Has(key)) return fallback;
    if (!At(key).is_boolean()) return Fail(absl::StrCat("'", key, "' must be true or false"));
    return At(key).get<bool>();
  }

  absl::StatusOr<std::string> String(const char* key, const std::string& fallback) const {
    if (!Has(key)) return fallback;
    if (!At(key).is_string()) return Fail(absl::StrCat("'", key, "' must be a string"));
    return At(key).get<std::string>();
  }

 private:
  const Json& object_;
  const std::string& origin_;
};

absl::Status ReadArchitecture(const KeyReader& reader, ModelConfig* config) {
  RW_ASSIGN_OR_RETURN(const std::string type, reader.String("model_type", ""));
  std::vector<std::string> known;
  const ArchitectureFacts* facts = nullptr;
  for (const ArchitectureFacts& row : Architectures()) {
    if (type == row.model_type) facts = &row;
    known.push_back(row.model_type);
  }
  if (facts == nullptr) {
    return reader.Fail(absl::StrCat("model_type '", type,
                                    "' is not supported; these are: ", absl::StrJoin(known, ", ")));
  }
  config->SetArchitecture(facts->name);
  for (const char* key : facts->unsupported) {
    if (key == nullptr) continue;
    RW_ASSIGN_OR_RETURN(const bool is_set, reader.Bool(key, false));
    if (is_set) {
      return reader.Fail(absl::StrCat("'", key, "' is not supported for model_type ", type));
    }
  }
  RW_ASSIGN_OR_RETURN(const std::string activation, reader.String("hidden_act", "silu"));
  if (activation != "silu") {
    return reader.Fail(absl::StrCat("hidden_act '", activation, "' is not supported (silu is)"));
  }
  return absl::OkStatus();
}

absl::Status ReadShape(const KeyReader& reader, ModelConfig* config) {
  const auto size = [&](const char* key, std::optional<int64_t> fallback) {
    return reader.Integer(key, fallback, 1, kMaxDimension);
  };
  RW_ASSIGN_OR_RETURN(config->vocabulary_size, size("vocab_size", std::nullopt));
  RW_ASSIGN_OR_RETURN(config->width, size("hidden_size", std::nullopt));
  RW_ASSIGN_OR_RETURN(config->intermediate_width, size("intermediate_size", std::nullopt));
  RW_ASSIGN_OR_RETURN(config->num_layers,
                      reader.Integer("num_hidden_layers", std::nullopt, 1, kMaxLayers));
  RW_ASSIGN_OR_RETURN(config->num_heads, size("num_attention_heads", std::nullopt));
  RW_ASSIGN_OR_RETURN(config->num_kv_heads, size("num_key_value_heads", config->num_heads));
  const ArchitectureFacts& facts = FactsOf(config->architecture);
  const bool has_own_head_width = reader.Has("head_dim") || facts.default_head_width > 0;
  RW_ASSIGN_OR_RETURN(config->head_width,
                      size("head_dim", has_own_head_width ? facts.default_head_width
                                                          : config->width / config->num_heads));
  RW_ASSIGN_OR_RETURN(config->max_positions,
                      size("max_position_embeddings", facts.default_positions));
  if (config->num_heads % config->num_kv_heads != 0) {
    return reader.Fail(absl::StrCat("'num_key_value_heads' (", config->num_kv_heads,
                                    ") must divide 'num_attention_heads' (", config->num_heads,
                                    ")"));
  }
  if (config->head_width % 2 != 0) return reader.Fail("'head_dim' must be even");
  if (!has_own_head_width && config->width % config->num_heads != 0) {
    return reader.Fail("'num_attention_heads' must divide 'hidden_size'");
  }
  if (config->num_heads * config->head_width > kMaxDimension) {
    return reader.Fail("'num_attention_heads' times 'head_dim' is too large");
  }
  return absl::OkStatus();
}

// Older files: rope_theta and rope_scaling {"rope_type" or "type": …}. Newer: rope_parameters
// {both}.
absl::Status ReadRope(const KeyReader& reader, const std::string& origin, ModelConfig* config) {
  RW_ASSIGN_OR_RETURN(config->rope_theta, reader.Positive("rope_theta", 10000.0));
  const char* key = reader.Has("rope_parameters") ? "rope_parameters" : "rope_scaling";
  if (!reader.Has(key)) return absl::OkStatus();
  if (!reader.At(key).is_object())
    return reader.Fail(absl::StrCat("'", key, "' must be an object"));
  const std::string inner_origin = absl::StrCat(origin, ": ", key);
  const KeyReader inner(reader.At(key), inner_origin);
  RW_ASSIGN_OR_RETURN(config->rope_theta, inner.Positive("rope_theta", config->rope_theta));
  RW_ASSIGN_OR_RETURN(const std::string old_type, inner.String("type", "default"));
  RW_ASSIGN_OR_RETURN(const std::string type, inner.String("rope_type", old_type));
  if (type == "default") return absl::OkStatus();
  if (type != "llama3") {
    return inner.Fail(absl::StrCat("'", type, "' is not supported (llama3 and default are)"));
  }
  RopeScaling& scaling = config->rope_scaling;
  RW_ASSIGN_OR_RETURN(scaling.factor, inner.Positive("factor", std::nullopt));
  RW_ASSIGN_OR_RETURN(scaling.low_frequency_factor,
                      inner.Positive("low_freq_factor", std::nullopt));
  RW_ASSIGN_OR_RETURN(scaling.high_frequency_factor,
                      inner.Positive("high_freq_factor", std::nullopt));
  RW_ASSIGN_OR_RETURN(
      scaling.original_max_positions,
      inner.Integer("original_max_position_embeddings", std::nullopt, 1, kMaxDimension));
  if (scaling.factor < 1 || scaling.high_frequency_factor <= scaling.low_frequency_factor) {
    return inner.Fail("needs factor >= 1 and low_freq_factor < high_freq_factor");
  }
  return absl::OkStatus();
}

absl::Status ReadEndTokens(const KeyReader& reader, ModelConfig* config) {
  if (!reader.Has("eos_token_id")) return absl::OkStatus();
  const Json& value = reader.At("eos_token_id");
  const Json list = value.is_array() ? value : Json::array({value});
  for (const Json& id : list) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 ||
        id.get<int64_t>() >= config->vocabulary_size) {
      return reader.Fail("'eos_token_id' must be token ids below 'vocab_size'");
    }
    const uint32_t token_id = id.get<uint32_t>();
    std::vector<uint32_t>& known = config->end_token_ids;
    if (std::find(known.begin(), known.end(), token_id) == known.end()) known.push_back(token_id);
  }
  return absl::OkStatus();
}

}  // namespace

void ModelConfig::SetArchitecture(Architecture value) {
  architecture = value;
  static_cast<BlockParts&>(*this) = FactsOf(value).parts;
}

std::vector<double> ModelConfig::RopeFrequencies() const {
  std::vector<double> frequencies(head_width / 2);
  const double low_wavelength =
      rope_scaling.original_max_positions / rope_scaling.low_frequency_factor;
  const double high_wavelength =
      rope_scaling.original_max_positions / rope_scaling.high_frequency_factor;
  for (int64_t i = 0; i < head_width / 2; ++i) {
    const double plain = std::pow(rope_theta, -2.0 * i / head_width);
    const double wavelength = 2 * std::numbers::pi / plain;
    const double scaled = plain / rope_scaling.factor;
    if (rope_scaling.factor == 1.0 || wavelength < high_wavelength) {
      frequencies[i] = plain;
    } else if (wavelength > low_wavelength) {
      frequencies[i] = scaled;
    } else {  // between the two: blended
      const double share =
          (rope_scaling.original_max_positions / wavelength - rope_scaling.low_frequency_factor) /
          (rope_scaling.high_frequency_factor - rope_scaling.low_frequency_factor);
      frequencies[i] = (1 - share) * scaled + share * plain;
    }
  }
  return frequencies;
}

absl::StatusOr<ModelConfig> ParseModelConfig(const std::string& config_json,
                                             const std::string& origin) {
  const Json json = Json::parse(config_json, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    return absl::InvalidArgumentError(absl::StrCat(origin, ": not a JSON object"));
  }
  const KeyReader reader(json, origin);
  ModelConfig config;
  RW_RETURN_IF_ERROR(ReadArchitecture(reader, &config));
  RW_RETURN_IF_ERROR(ReadShape(reader, &config));
  RW_RETURN_IF_ERROR(ReadRope(reader, origin, &config));
  RW_ASSIGN_OR_RETURN(
      config.norm_epsilon,
      reader.Positive("rms_norm_eps", FactsOf(config.architecture).default_norm_epsilon));
  RW_ASSIGN_OR_RETURN(config.initializer_range, reader.Positive("initializer_range", 0.02));
  RW_ASSIGN_OR_RETURN(config.is_tied, reader.Bool("tie_word_embeddings", false));
  RW_RETURN_IF_ERROR(ReadEndTokens(reader, &config));
  return config;
}

absl::Status AddEndTokens(const std::string& generation_config_json, const std::string& origin,
                          ModelConfig* config) {
  const Json json = Json::parse(generation_config_json, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    return absl::InvalidArgumentError(absl::StrCat(origin, ": not a JSON object"));
  }
  return ReadEndTokens(KeyReader(json, origin), config);
}

std::string ModelConfigToJson(const ModelConfig& config, const std::string& torch_dtype) {
  const ArchitectureFacts& facts = FactsOf(config.architecture);
  nlohmann::ordered_json json;
  json["architectures"] = {facts.transformers_class};
  json["model_type"] = facts.model_type;
  json["hidden_act"] = "silu";
  json["vocab_size"] = config.vocabulary_size;
  json["hidden_size"] = config.width;
  json["intermediate_size"] = config.intermediate_width;
  json["num_hidden_layers"] = config.num_layers;
  json["num_attention_heads"] = config.num_heads;
  json["num_key_value_heads"] = config.num_kv_heads;
  json["head_dim"] = config.head_width;
  json["max_position_embeddings"] = config.max_positions;
  json["rope_theta"] = config.rope_theta;
  if (config.rope_scaling.factor != 1.0) {
    json["rope_scaling"] = {
        {"rope_type", "llama3"},
        {"factor", config.rope_scaling.factor},
        {"low_freq_factor", config.rope_scaling.low_frequency_factor},
        {"high_freq_factor", config.rope_scaling.high_frequency_factor},
        {"original_max_position_embeddings", config.rope_scaling.original_max_positions}};
  }
  json["rms_norm_eps"] = config.norm_epsilon;
  json["initializer_range"] = config.initializer_range;
  json["tie_word_embeddings"] = config.is_tied;
  for (const char* key : facts.unsupported) {
    if (key != nullptr) json[key] = false;
  }
  json["bos_token_id"] = nullptr;
  json["eos_token_id"] = nullptr;
  if (config.end_token_ids.size() == 1) json["eos_token_id"] = config.end_token_ids[0];
  if (config.end_token_ids.size() > 1) json["eos_token_id"] = config.end_token_ids;
  json["torch_dtype"] = torch_dtype;
  return json.dump(2) + "\n";
}

}  // namespace routewright
