// SIGUSR1, SIGTERM and SIGINT ask the run to stop: the step under way is finished, a checkpoint is
// saved, the program exits with 75. A second SIGINT (Ctrl-C) ends the process at once.
//
// A thread of its own waits for them, and every other one blocks them: on CPUs where matmul goes to
// oneDNN (kernels/matmul), a signal handler that runs on a thread inside its product damages the
// heap.
#pragma once

namespace switchyard {

// Once, before any other thread is started: threads inherit what is blocked.
void InstallStopSignals();
// Whether one has come. Any thread.
bool IsStopRequested();

}  // namespace switchyard
