// SIGUSR1, SIGTERM and SIGINT ask the run to stop: the step under way is finished, a checkpoint is
// saved, the program exits with 75. A second SIGINT (Ctrl-C) ends the process at once.
#pragma once

namespace switchyard {

void InstallStopSignals();
// Whether one has come. Any thread.
bool IsStopRequested();

}  // namespace switchyard
