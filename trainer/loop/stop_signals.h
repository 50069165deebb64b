// SIGUSR1, SIGTERM and Ctrl-C ask a training to stop after its step. A thread of their own waits
// for them, and every other thread blocks them: no signal's frame is ever put on the stack of a
// thread that computes. oneDNN, as LibTorch 2.11 carries it, reads memory below its stack pointer
// in a matrix product, and crashes if a handler has run there.
#pragma once

namespace routewright {

// Must be called before the process starts other threads: they inherit what is blocked. A second
// Ctrl-C ends the process at once.
void InstallStopSignals();
// Any thread.
bool IsStopRequested();

}  // namespace routewright
