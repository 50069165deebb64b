// Where the files of a checkpoint are and what they hold, for those who write and those who read
// them. trainer/checkpoint/README.md shows the folder. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "policy/model/model_config.h"
#include "policy/model/parameter_layout.h"
#include "trainer/checkpoint/state_share.h"

namespace routewright {

inline constexpr char kManifestName[] = "manifest.json";
inline constexpr char kReferenceModel[] = "reference";  // the one model that does not learn

// A rank's file of a model's weights, or of its moments, relative to the checkpoint's folder:
// "policy/model.safetensors" of one rank, "policy/model-00002-of-00004.safetensors" of several.
std::string TensorFileName(const std::string& model, StateKind kind, int rank, int num_ranks);
// What a tensor's name in such a file begins with: "", "first_moment.", "second_moment.".
std::string_view TensorPrefix(StateKind kind);
// A rank's part of the manifest, in the folder until the checkpoint is committed.
std::string PartName(int rank);

// How a model lies in blocks.
ParameterLayout LayoutOfModel(const std::string& name, const ModelConfig& config);
// Whether a checkpoint has moments of a model: it learns.
bool HasMoments(const std::string& name);

}  // namespace routewright
