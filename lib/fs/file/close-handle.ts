/*
 * The closing of a handle of the core: the descriptor is closed when the last call that uses it has returned, also an aborted
 * one.
 */

import { SyscallError } from '../../errors';
import { Wire } from '../../generated/wire';
import { native, type OpenHandle } from '../../native';
import { engine } from '../../promise/engine';
import { kLeaveAfterMs } from '../../promise/leaving';
import { isError, Op, type Refusable, timeoutError } from '../../promise/op';
import { clearTimeout, setTimeout } from '../../timers';

/* One close. */
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
    if (answer === Wire.closeWaits) this.#timer = setTimeout(() => this.#leave(), kLeaveAfterMs);
    return true;
  }

  refused(errno: number): void {
    this.#reject(new SyscallError(errno, 'close'));
  }

  /* Resolves without the close. The number stays taken until the last call has returned and closed it. */
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
    return true; // nothing to cancel: the descriptor is closed all the same
  }

  override reject(): void {
    this.#resolve();
  }

  override timedOut(): Error {
    return timeoutError('close');
  }
}

/**
 * @internal Makes close(2) of the descriptor as soon as no call uses it any more. Resolves when it is closed; after 50 ms
 *   also while aborted calls still use it. Rejects with a SyscallError `close`.
 */
export function closeHandle(handle: OpenHandle): Promise<void> {
  return new Promise((resolve, reject) => {
    engine.start(new CloseOp(handle, resolve, reject));
  });
}
