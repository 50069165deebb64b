// What a file is that is not what its name says: found from its first bytes. Pure; any thread.
#pragma once

#include <string_view>

namespace routewright {

// "is a Git LFS pointer, not the file itself: run `git lfs pull` in its repository" and the like: what follows a path
// in an error. Empty if the bytes are of no kind that is known here. For text files; of a binary file ask only once it
// has turned out not to be what it should be, for its bytes may look like another kind's mark.
//   first_bytes  a file's beginning; 64 bytes are enough
std::string_view ForeignFileKind(std::string_view first_bytes);

}  // namespace routewright
