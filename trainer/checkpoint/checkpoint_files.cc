#include "trainer/checkpoint/checkpoint_files.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace routewright {

std::string TensorFileName(const std::string& model, StateKind kind, int rank, int num_ranks) {
  const std::string stem = kind == StateKind::kWeights ? absl::StrCat(model, "/model")
                                                       : absl::StrCat("optimizer/", model);
  if (num_ranks == 1) return stem + ".safetensors";
  return absl::StrFormat("%s-%05d-of-%05d.safetensors", stem, rank + 1, num_ranks);
}

std::string_view TensorPrefix(StateKind kind) {
  return kind == StateKind::kWeights        ? ""
         : kind == StateKind::kFirstMoments ? "first_moment."
                                            : "second_moment.";
}

std::string PartName(int rank) { return absl::StrFormat(".part-%05d.json", rank); }

ParameterLayout LayoutOfModel(const std::string& name, const ModelConfig& config) {
  if (name == "value_head") return ParameterLayout::OfValueHead(config);
  return ParameterLayout(config, name == "critic" ? HeadKind::kValue : HeadKind::kLanguageModel);
}

bool HasMoments(const std::string& name) { return name != kReferenceModel; }

}  // namespace routewright
