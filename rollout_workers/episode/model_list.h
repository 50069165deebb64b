// The pool's models under the names that a policy may write. Immutable; any thread.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/config.pb.h"

namespace routewright {

class ModelList {
 public:
  // Fails: kInvalidArgument for an empty list, an empty name, a name or alias with a colon (a
  // call is split at the first one) or with white space at an end, and for two models that
  // answer to the same name.
  static absl::StatusOr<ModelList> Build(const PoolConfig& config);

  // The listed name that `written` means: equal to a name or an alias, whatever the case, white
  // space trimmed. nullptr if it means none. Valid as long as the list.
  const std::string* Find(std::string_view written) const;

  // Listed names in the config's order, at least one.
  const std::vector<std::string>& names() const { return names_; }

 private:
  std::vector<std::string> names_;
  std::map<std::string, size_t> places_;  // lower-case name or alias → index into names_
};

}  // namespace routewright
