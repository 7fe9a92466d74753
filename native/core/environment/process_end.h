// Is the process about to end? process.exit() on the main thread ends the Workers first and joins their threads. A
// Worker that waits in its clean-up for the kernel to let go of its memory must not hold that up: it sees here that the
// main thread waits for it. No call tells so, and its environment has no other sign; /proc shows what each thread waits
// for.
#ifndef ACALL_CORE_ENVIRONMENT_PROCESS_END_H_
#define ACALL_CORE_ENVIRONMENT_PROCESS_END_H_

namespace acall {

// True when the main thread sleeps in pthread_join for the calling thread, or for one that does so in turn. False when
// not, or when /proc cannot be read.
bool process_waits_for_this_thread();

}  // namespace acall

#endif  // ACALL_CORE_ENVIRONMENT_PROCESS_END_H_
