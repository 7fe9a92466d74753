/* What the engine of this process has done and is doing. */
import { type NativeCounters, native } from '../native';

/** Numbers of the whole process, all environments together. */
export type Counters = NativeCounters;

/**
 * What the engine has done since the process began (`submitted`, `completed`, `cancelled`, `overflows`; `inlineHits` of the
 * ops were done at once on the thread that asked, `inlineMisses` were tried so and went to a thread) and does now:
 * `queued` ops wait for a thread, `running` are inside one (pool and own), `threads` live (`poolThreads`, `ownThreads` and
 * the supervisor), `blocked` pool threads have been inside one call for longer than 0.2 ms.
 */
export function counters(): Counters {
  return native.counters();
}
