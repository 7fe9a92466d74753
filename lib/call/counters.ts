/* counters(): how many ops the process has submitted and completed, and how many it has now. */

import { type NativeCounters, native } from '../native';
import { engine } from '../promise/engine';

/** The numbers that {@link counters} returns. All but `waiting` count the whole process, all environments together. */
export interface Counters extends NativeCounters {
  /** Ops of this instance's promises that wait in JavaScript. */
  waiting: number;
}

/**
 * What the engine has done since the process began, and what it does now.
 *
 * Since the process began: `submitted`, `completed`, `cancelled` and `overflows`; `inlineHits` ops ran inline, `inlineMisses` ops
 * were to run inline and went to a thread.
 *
 * Now: `queued` ops wait for a thread, `running` ops are inside a pool or own thread. `threads` exist: `poolThreads`,
 * `ownThreads` and the supervisor. `blocked` pool threads are asleep inside one call. `waiting` ops of this instance of acall
 * wait in JavaScript, because too many are in flight, or memory or threads are short.
 *
 * `limitedBy` names the limit that has kept queued ops waiting for a second and still does ("ACALL_POOL_MAX", "RLIMIT_NPROC",
 * "pids.max of the cgroup" ...); otherwise it is null. A warning with the code ACALL_THREAD_LIMIT names the first such limit,
 * once in a process.
 *
 * @example
 * const { queued, running, limitedBy } = counters();
 */
export function counters(): Counters {
  return { ...native.counters(), waiting: engine.waiting };
}
