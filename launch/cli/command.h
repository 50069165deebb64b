// The commands of the `routewright` program. Each is one file of launch/commands/ and one
// row of the table in commands.cc there.
#pragma once

namespace routewright {

// Exit codes of every command.
enum ExitCode {
  kExitOk = 0,
  kExitFailed = 1,
  kExitUsage = 2,       // bad usage or config
  kExitPreempted = 75,  // stopped by a signal after a durable checkpoint: submit again
};

struct Command {
  const char* name;
  const char* summary;                // one line for the list
  int (*run)(int argc, char** argv);  // argv[0] is the command's name
};

}  // namespace routewright
