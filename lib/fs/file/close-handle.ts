/* The end of a handle of the engine: closed when the last call has it no more, an aborted one included. */

import { SyscallError } from '../../errors';
import { Wire } from '../../generated/wire';
import { native, type OpenHandle } from '../../native';
import { engine } from '../../promise/engine';
import { isError, Op, type Refusable, timeoutError } from '../../promise/op';
import { clearTimeout, setTimeout } from '../../timers';

const kWaitMs = 50; // for calls that were aborted

class CloseOp extends Op implements Refusable {
  readonly #handle: OpenHandle;
  readonly #resolve: () => void;
  readonly #reject: (error: Error) => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(handle: OpenHandle, resolve: () => void, reject: (error: Error) => void) {
    super();
    this.#handle = handle;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  override submit(): boolean {
    const answer = native.handleClose(this.#handle, this.slot);
    engine.answered(this, Math.min(answer, 0));
    if (answer === Wire.closeWaits) this.#timer = setTimeout(() => this.#leave(), kWaitMs);
    return true;
  }

  refused(errno: number): void {
    this.#reject(new SyscallError(errno, 'close'));
  }

  /* It goes on without us: the number stays taken until the last call is back. */
  #leave(): void {
    native.leaveSlots(Uint32Array.of(this.slot), 1);
    engine.abandon(this, this.timedOut());
  }

  override complete(low: number, high: number): void {
    clearTimeout(this.#timer);
    if (isError(low, high)) this.#reject(new SyscallError(low | 0, 'close'));
    else this.#resolve();
  }

  override cancel(): boolean {
    return true; // nothing to be done: it is to be closed all the same
  }

  override reject(): void {
    this.#resolve();
  }

  override timedOut(): Error {
    return timeoutError('close');
  }
}

/**
 * @internal close(2) of the descriptor as soon as no call has it any more. Resolves when it is closed; where calls that were
 * aborted keep it longer than 50 ms, without that.
 */
export function closeHandle(handle: OpenHandle): Promise<void> {
  return new Promise((resolve, reject) => {
    engine.start(new CloseOp(handle, resolve, reject));
  });
}
