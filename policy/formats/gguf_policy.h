// A policy out of a GGUF file: its shape from the metadata, its weights with Hugging
// Face's names and row order.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "policy/formats/gguf.h"
#include "policy/formats/tensor_source.h"
#include "policy/model/model_config.h"

namespace routewright {

// Architectures llama and qwen2. Llama-3 scaling is recognised by its rope_freqs.weight.
// Fails: kInvalidArgument naming the file and the key that is missing or not supported.
absl::StatusOr<ModelConfig> ModelConfigFromGguf(const GgufFile& file);

// The file's tensors. llama.cpp stores llama's query and key rows in the order of interleaved
// rotation; that is undone. Fails: kDataLoss naming the tensor that is missing, of another shape or
// unknown. Reading fails as GgufFile::Read.
absl::StatusOr<TensorSource> TensorsOfGguf(std::shared_ptr<const GgufFile> file,
                                           const ModelConfig& config);

}  // namespace routewright
