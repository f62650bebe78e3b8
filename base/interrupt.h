// Ctrl-C: the first finishes the unit of work in flight, the second leaves at once.
#ifndef VERNIER_BASE_INTERRUPT_H_
#define VERNIER_BASE_INTERRUPT_H_

namespace vernier {

// The exit status of a program that was interrupted.
inline constexpr int kExitInterrupted = 130;

// From now on the first SIGINT or SIGTERM only sets a flag (and says so on standard error), and the
// second ends the process at once with kExitInterrupted: what was committed is on the disk anyway.
// For the program's main function.
void CatchInterrupts();

// Whether the first signal has come. Any thread may ask.
bool InterruptRequested();

// kInterrupted, for work that goes on where it stopped.
[[noreturn]] void ThrowInterrupted();

// To be called between two units of work, when the finished ones are durable: kInterrupted if the
// first signal has come.
void ThrowIfInterrupted();

}  // namespace vernier

#endif  // VERNIER_BASE_INTERRUPT_H_
