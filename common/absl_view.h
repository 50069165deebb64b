// AbslView(s): a std::string_view for abseil's functions. Debian's abseil keeps a string_view
// type of its own, into which std::string and literals convert by themselves but
// std::string_view doesn't.
#pragma once

#include <string_view>

#include "absl/strings/string_view.h"

namespace routewright {

inline absl::string_view AbslView(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace routewright
