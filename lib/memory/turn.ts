/* What runs when the engine rings this environment's bell: every room that waits for completions has one listener. */
import { native } from '../native';
import { emitWarning } from '../timers';

const listeners: (() => void)[] = [];

function turn(limit?: string): void {
  if (limit !== undefined) {
    emitWarning(`acall: ${limit} has kept calls waiting for a thread for a second; counters().queued is their number`, {
      code: 'ACALL_THREAD_LIMIT',
    });
  }
  for (const listener of listeners) listener();
}

/**
 * Calls `listener` on the event loop whenever completions may have arrived. Listeners must not throw.
 *
 * @throws ERR_ACALL_SIGNAL, ERR_MEMORY_ALLOCATION_FAILED when this environment cannot have calls in flight
 */
export function onTurn(listener: () => void): void {
  if (listeners.length === 0) native.open(turn);
  listeners.push(listener);
}
