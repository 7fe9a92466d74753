// Whether the process is about to end. process.exit() on the main thread first ends the Workers and joins their
// threads. A Worker that waits in its clean-up for the kernel must not delay that, so it checks here whether the main
// thread waits for it. No call answers that, but /proc shows for what each thread waits. Entered by the thread of an
// ending environment; no lock.
#ifndef ACALL_CORE_ENVIRONMENT_PROCESS_END_H_
#define ACALL_CORE_ENVIRONMENT_PROCESS_END_H_

namespace acall {

// True when the main thread sleeps in pthread_join for the calling thread, or for a thread that does so in turn. False
// also when /proc cannot be read.
bool process_waits_for_this_thread();

// True on the main thread: what ends there ends with the process.
bool process_ends_with_this_thread();

}  // namespace acall

#endif  // ACALL_CORE_ENVIRONMENT_PROCESS_END_H_
