#include "rollout_workers/episode/model_list.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/text.h"

namespace routewright {
namespace {

absl::Status CheckName(const std::string& name) {
  if (name.empty() || StripWhitespace(name) != name) {
    return absl::InvalidArgumentError(absl::StrCat("pool.models: the name or alias '", name,
                                                   "' is empty or has white space at an end"));
  }
  if (name.find(':') != std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat(
        "pool.models: the name or alias '", name,
        "' has a colon, at which a call is split; name the model without it and set served_model"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ModelList> ModelList::Build(const PoolConfig& config) {
  ModelList list;
  for (const PoolModelConfig& model : config.models()) {
    std::vector<std::string> spellings(model.aliases().begin(), model.aliases().end());
    spellings.push_back(model.name());
    for (const std::string& spelling : spellings) {
      RW_RETURN_IF_ERROR(CheckName(spelling));
      const auto [place, is_new] = list.places_.emplace(LowerCase(spelling), list.names_.size());
      if (!is_new && place->second != list.names_.size()) {
        return absl::InvalidArgumentError(absl::StrCat("pool.models: '", spelling, "' names both ",
                                                       list.names_[place->second], " and ",
                                                       model.name()));
      }
    }
    list.names_.push_back(model.name());
  }
  if (list.names_.empty()) {
    return absl::InvalidArgumentError(
        "pool.models is empty; list at least one model that the policy may call");
  }
  return list;
}

const std::string* ModelList::Find(std::string_view written) const {
  const auto found = places_.find(LowerCase(StripWhitespace(written)));
  return found == places_.end() ? nullptr : &names_[found->second];
}

}  // namespace routewright
