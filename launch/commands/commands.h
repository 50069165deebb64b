// Every command's entry point, and the table that main.cc and the help text read.
#pragma once

#include <span>

#include "launch/cli/command.h"

namespace routewright {

std::span<const Command> Commands();

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

}  // namespace routewright
