// A policy folder in Hugging Face layout: config.json, generation_config.json, tokenizer.json,
// tokenizer_config.json, *.safetensors (+ model.safetensors.index.json). A checkpoint's policy/ is
// one too; several ranks leave model-00001-of-00004.safetensors … there, without an index and with
// cut tensors (policy/formats/tensor_pieces.h), which Hugging Face does not read.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "policy/formats/safetensors.h"
#include "policy/formats/tensor_source.h"
#include "policy/model/model_config.h"
#include "policy/model/policy_weights.h"

namespace routewright {

// Fails: kNotFound naming the folder or the file that is missing, and what a
// policy folder must hold; kInvalidArgument if a file is of another kind, or the tokenizer has ids that the model has
// not.
absl::StatusOr<ModelConfig> LoadModelConfig(const std::string& folder);
// The folder's tensors, memory-mapped and checked against the config's layout. Fails as above, or
// kDataLoss naming file and tensor. Reading fails as SafetensorsFile::Read.
absl::StatusOr<TensorSource> OpenPolicyTensors(const std::string& folder,
                                               const ModelConfig& config);
// All of them, in memory.
absl::StatusOr<std::shared_ptr<const PolicyWeights>> LoadPolicyWeights(const std::string& folder,
                                                                       const ModelConfig& config);
// The names of the files beside config.json and the weights that make a policy folder complete, as
// far as they exist: the tokenizer's, the chat template's and generation_config.json.
std::vector<std::string> CompanionFiles();
// Writes config.json and model.safetensors with one tensor at a time in memory, copies companion
// files from `tokenizer_folder` ("": none) and writes `texts` (name → content) over them; atomic:
// the folder appears whole or not at all. Fails: kAlreadyExists if it is there; as `tensors` does.
absl::Status SavePolicyFolder(const std::string& folder, const ModelConfig& config,
                              const TensorSource& tensors, WeightFormat format,
                              const std::string& tokenizer_folder,
                              const std::map<std::string, std::string>& texts = {});

}  // namespace routewright
