/*
 * The bell of this environment: the core rings it when completions may have arrived. Each file that waits for completions adds
 * one listener.
 */
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
 * Calls `listener` on the event loop whenever completions may have arrived. A listener must not throw.
 *
 * @throws ERR_ACALL_SIGNAL when no signal is free for cancelling; ERR_MEMORY_ALLOCATION_FAILED
 */
export function onTurn(listener: () => void): void {
  if (listeners.length === 0) native.open(turn);
  listeners.push(listener);
}
