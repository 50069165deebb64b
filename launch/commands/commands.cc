#include "launch/commands/commands.h"

#include <vector>

namespace switchyard {

std::span<const Command> Commands() {
  static const auto* commands = new std::vector<Command>{
  };
  return *commands;
}

}  // namespace switchyard
