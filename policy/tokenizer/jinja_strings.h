// The strings that a Jinja chat template can write, without running it. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace routewright {

// In their order: the string literals inside {{ … }} and {% … %}, escapes resolved, and the plain
// text between blocks. Comments are left out; a literal that is not closed ends with the template.
std::vector<std::string> JinjaStrings(std::string_view jinja);

}  // namespace routewright
