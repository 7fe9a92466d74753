/* flock(): locks with signal and time-out; an aborted request leaves no lock behind. */

import { callThatMayComeLate, callThrough } from '../../call/request';
import { renamed, Steps } from '../../call/steps';
import { checkInteger, invalidArgType, invalidArgValue } from '../../errors';
import { constants } from '../../generated/constants';
import type { OpenHandle } from '../../native';
import { type CommonOptions, withCommon } from '../../promise/options';
import { closeHandle } from './close-handle';
import { type HasDescriptor, withDescriptor } from './descriptor';

/** What {@link flock} asks for. */
export type LockOperation = 'shared' | 'exclusive' | 'unlock';

/** Options of {@link flock}. */
export interface FlockOptions extends CommonOptions {
  /** true: rejects with EAGAIN instead of waiting when somebody else holds the lock. */
  nonBlocking?: boolean | undefined;
}

const kOptions = withCommon('nonBlocking');
const kOperations = { shared: 'LOCK_SH', exclusive: 'LOCK_EX', unlock: 'LOCK_UN' } as const;

/*
 * Requests that were aborted while the kernel had them, by descriptor. The kernel may still grant such a request its lock,
 * which is then released. The next request on the descriptor waits for that release, so that it does not lose its own lock by
 * it.
 */
const late = new Map<number, Promise<void>>();

function checkFile(file: HasDescriptor | number): void {
  if (typeof file === 'number') checkInteger(file, 'file', 0, 0x7fffffff);
  else if (typeof file !== 'object' || file === null || typeof file.fd !== 'number') {
    throw invalidArgType('file', 'of type number or an instance of FileHandle', file);
  }
}

/*
 * Takes a lock whose request may be aborted, through a duplicate of the descriptor. The duplicate stays open whatever the
 * caller does with the descriptor. The core closes it when this environment ends first: otherwise the lock would outlive the
 * environment.
 */
async function lockThroughDuplicate(fd: number, owner: OpenHandle, operation: number, steps: Steps): Promise<void> {
  const duplicate = await steps.open('fcntl', [fd, constants.F_DUPFD_CLOEXEC, 0], 'flock', undefined, owner);
  const close = (): void => {
    closeHandle(duplicate.handle).catch(() => {});
  };
  let answered: () => void = () => {};
  const answer = new Promise<void>((resolve) => {
    answered = resolve;
  });
  let isLate = false;
  try {
    const args = [duplicate.fd, operation];
    const hooks = {
      abandoned(mayRun: boolean) {
        isLate = mayRun;
        if (mayRun) late.set(fd, answer);
      },
      answered() {
        callThrough(duplicate.handle, 'flock', [duplicate.fd, constants.LOCK_UN], undefined)
          .catch(() => {}) // nobody could handle the error
          .then(() => {
            close();
            if (late.get(fd) === answer) late.delete(fd);
            answered();
          });
      },
    };
    await callThatMayComeLate('flock', args, steps.next(), hooks, duplicate.handle);
  } catch (error) {
    throw renamed(error, 'flock');
  } finally {
    if (!isLate) close();
  }
}

/**
 * flock(2): locks an open file. The lock belongs to the open file description, so all duplicates of the descriptor share it.
 * The call waits on a pool thread while others hold the lock, and delays no other call. A request that is aborted or times
 * out while it waits leaves no lock behind, neither the requested lock nor a lock that was held before.
 *
 * Rejects with a SyscallError `flock` (EBADF; EAGAIN with `nonBlocking`), with an AbortError or ETIMEDOUT for `signal` and
 * `timeout`, and with ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE or ERR_OUT_OF_RANGE for wrong arguments.
 *
 * @param file a FileHandle of acall or of node:fs, or a descriptor
 * @param operation 'shared', 'exclusive' or 'unlock'
 * @example
 * const file = await open('app.lock', 'w');
 * await flock(file, 'exclusive', { timeout: 1000 });
 * await file.close(); // releases the lock
 */
export async function flock(
  file: HasDescriptor | number,
  operation: LockOperation,
  options?: FlockOptions,
): Promise<void> {
  checkFile(file);
  if (typeof operation !== 'string' || !Object.hasOwn(kOperations, operation)) {
    throw invalidArgValue('operation', "must be 'shared', 'exclusive' or 'unlock'", operation);
  }
  const steps = new Steps(options, 'flock', undefined, kOptions);
  const nonBlocking = options?.nonBlocking ?? false;
  if (typeof nonBlocking !== 'boolean') throw invalidArgType('options.nonBlocking', 'of type boolean', nonBlocking);
  steps.next(); // throws when the signal is aborted already: then nothing runs
  await withDescriptor(file, 'flock', async (fd, handle) => {
    for (let before = late.get(fd); before !== undefined; before = late.get(fd)) await steps.until(before);
    const request = constants[kOperations[operation]] | (nonBlocking ? constants.LOCK_NB : 0);
    if (steps.canEndEarly && operation !== 'unlock') await lockThroughDuplicate(fd, handle, request, steps);
    else await steps.call('flock', [fd, request], 'flock', undefined, handle);
  });
}
