#include "launch/commands/commands.h"

#include <vector>

namespace routewright {

// Each in the file of its name.
int RunAsk(int argc, char** argv);
int RunConvert(int argc, char** argv);
int RunDoctor(int argc, char** argv);
int RunEval(int argc, char** argv);
int RunGenerate(int argc, char** argv);
int RunInspect(int argc, char** argv);
int RunLogprob(int argc, char** argv);
int RunPool(int argc, char** argv);
int RunReportCommand(int argc, char** argv);
int RunReward(int argc, char** argv);
int RunTokenize(int argc, char** argv);
int RunTrace(int argc, char** argv);
int RunTrain(int argc, char** argv);
int RunWorker(int argc, char** argv);

std::span<const Command> Commands() {
  static const auto* commands = new std::vector<Command>{
      {"ask", "one question: every round, its cost and its time", RunAsk},
      {"convert", "policy formats in, a Hugging Face folder out", RunConvert},
      {"doctor", "check this machine and a config before a job is submitted", RunDoctor},
      {"eval", "evaluate a policy over questions, with baselines", RunEval},
      {"generate", "sample from a policy, token ids in and out", RunGenerate},
      {"inspect", "what is in a run, a checkpoint, a policy or a trajectory file", RunInspect},
      {"logprob", "log-probabilities of token ids under a policy", RunLogprob},
      {"pool", "serve simulated models over HTTP, to learn and test offline", RunPool},
      {"report", "a run's report: one HTML file with curves, table and costs", RunReportCommand},
      {"reward", "score recorded transcripts, JSON lines in and out", RunReward},
      {"tokenize", "token ids of text, and text of token ids", RunTokenize},
      {"trace", "where the time of a running training's next step goes", RunTrace},
      {"train", "learn from episodes or demonstrations: one rank of the learner", RunTrain},
      {"worker", "run episodes for a learner", RunWorker},
  };
  return *commands;
}

}  // namespace routewright
