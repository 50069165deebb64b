// Which build this is: "0.1.0+1a2b3c4", with "-dirty" where the source tree was
// changed after that commit.
#pragma once

namespace routewright {

const char* CodeVersion();

}  // namespace routewright
