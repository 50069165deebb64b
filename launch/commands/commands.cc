#include "launch/commands/commands.h"

#include <vector>

namespace switchyard {

std::span<const Command> Commands() {
  static const auto* commands = new std::vector<Command>{
      {"reward", "score recorded transcripts, JSON lines in and out", RunReward},
  };
  return *commands;
}

}  // namespace switchyard
