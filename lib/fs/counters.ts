/* What the engine of this process has done and is doing. */
import { engine } from '../engine';
import { type NativeCounters, native } from '../native';

/** Numbers of the whole process, all environments together. */
export interface Counters extends NativeCounters {
  /** Ops of this instance's promises that wait in JavaScript for their turn. */
  waiting: number;
}

/**
 * What the engine has done since the process began (`submitted`, `completed`, `cancelled`, `overflows`; `inlineHits` of the
 * ops were done at once on the thread that asked, `inlineMisses` were tried so and went to a thread) and does now:
 * `queued` ops wait for a thread, `running` are inside one (pool and own), `threads` live (`poolThreads`, `ownThreads` and
 * the supervisor), `blocked` pool threads have been inside one call for longer than 0.2 ms. `waiting` ops of this instance of
 * acall wait in JavaScript, since too many are in flight, or memory or threads are short. `limitedBy` names the limit that
 * has kept queued ops waiting for a second and still does ("ACALL_POOL_MAX", "RLIMIT_NPROC", "pids.max of the cgroup" ...),
 * else it is null; a warning with the code ACALL_THREAD_LIMIT names the first one, once in a process.
 */
export function counters(): Counters {
  return { ...native.counters(), waiting: engine.waiting };
}
