// The table of commands, which main.cc and the help text read.
#pragma once

#include <span>

#include "launch/cli/command.h"

namespace routewright {

std::span<const Command> Commands();

}  // namespace routewright
