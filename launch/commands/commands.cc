#include "launch/commands/commands.h"

#include <vector>

namespace switchyard {

std::span<const Command> Commands() {
  static const auto* commands = new std::vector<Command>{
      {"convert", "policy formats in, a Hugging Face folder out", RunConvert},
      {"generate", "sample from a policy, token ids in and out", RunGenerate},
      {"logprob", "log-probabilities of token ids under a policy", RunLogprob},
      {"pool", "serve simulated models over HTTP, to learn and test offline", RunPool},
      {"reward", "score recorded transcripts, JSON lines in and out", RunReward},
      {"tokenize", "token ids of text, and text of token ids", RunTokenize},
  };
  return *commands;
}

}  // namespace switchyard
