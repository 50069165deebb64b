// A table of kinds: an array with a row for each value of an enum of the config, in its order, whose
// rows say their value in `name`. The first value, UNSPECIFIED, has no row.

#pragma once

#include <cstddef>

namespace routewright {

// Whether `rows` has a row of each value, `array_size` being the enum's _ARRAYSIZE. For a
// static_assert beside the table: a new value without a row does not compile.
template <typename Row, size_t kNumRows>
constexpr bool HasARowOfEach(const Row (&rows)[kNumRows], int array_size) {
  if (static_cast<int>(kNumRows) != array_size - 1) return false;
  for (int value = 1; value < array_size; ++value) {
    if (rows[value - 1].name != value) return false;
  }
  return true;
}

}  // namespace routewright
