/* flock(2), so that an aborted request leaves no lock behind. */
import type { CommonOptions } from '../engine';
import { checkInteger, invalidArgType, invalidArgValue, SyscallError } from '../errors';
import { constants } from '../generated/constants';
import { renamed, Steps } from './steps';
import { callThatMayComeLate, closeQuietly, syscall } from './syscall';

/** What {@link flock} asks for. */
export type LockOperation = 'shared' | 'exclusive' | 'unlock';

/** Options of {@link flock}. */
export interface FlockOptions extends CommonOptions {
  /** true: rejects with EAGAIN at once where the lock is another's. */
  nonBlocking?: boolean | undefined;
}

/** Anything with a descriptor, for instance a FileHandle. */
export interface HasDescriptor {
  readonly fd: number;
}

const kOperations = { shared: 'LOCK_SH', exclusive: 'LOCK_EX', unlock: 'LOCK_UN' } as const;

/*
 * Requests whose caller has gone while the kernel had them. Such a request may still get its lock, which is then given up.
 * The next request on the descriptor comes after that, so that it does not lose what it was granted.
 */
const late = new Map<number, Promise<void>>();

function descriptorOf(file: HasDescriptor | number): number {
  if (typeof file === 'number') return checkInteger(file, 'file', 0, 0x7fffffff);
  if (typeof file !== 'object' || file === null || typeof file.fd !== 'number') {
    throw invalidArgType('file', 'of type number or an instance of FileHandle', file);
  }
  return file.fd;
}

/* A lock that may be given up: taken through a duplicate, which stays ours whatever becomes of the caller's descriptor. */
async function lockThroughDuplicate(fd: number, operation: number, steps: Steps): Promise<void> {
  const duplicate = await steps.call('fcntl', [fd, constants.F_DUPFD_CLOEXEC, 0], 'flock');
  let answered: () => void = () => {};
  const answer = new Promise<void>((resolve) => {
    answered = resolve;
  });
  let isLate = false;
  try {
    await callThatMayComeLate('flock', [duplicate, operation], steps.next(), {
      abandoned(mayRun) {
        isLate = mayRun;
        if (mayRun) late.set(fd, answer);
      },
      answered() {
        syscall('flock', [duplicate, constants.LOCK_UN])
          .catch(() => {}) // nobody is left to be told
          .then(() => {
            closeQuietly(duplicate);
            if (late.get(fd) === answer) late.delete(fd);
            answered();
          });
      },
    });
  } catch (error) {
    throw renamed(error, 'flock');
  } finally {
    if (!isLate) closeQuietly(duplicate);
  }
}

/**
 * flock(2): a lock on an open file, shared with those of the same open file description and all its duplicates. Waits as
 * long as others hold it, on a thread of the pool; other calls are not held up. A request that is aborted or times out
 * while it waits leaves no lock behind, neither the one asked for nor one held before.
 *
 * Rejects with a SyscallError `flock`: EBADF; EAGAIN with `nonBlocking`; ETIMEDOUT.
 *
 * @example
 * const file = await open('app.lock', 'w');
 * await flock(file, 'exclusive', { timeout: 1000 });
 * await file.close(); // gives the lock back
 */
export async function flock(
  file: HasDescriptor | number,
  operation: LockOperation,
  options?: FlockOptions,
): Promise<void> {
  const fd = descriptorOf(file);
  if (typeof operation !== 'string' || !Object.hasOwn(kOperations, operation)) {
    throw invalidArgValue('operation', "must be 'shared', 'exclusive' or 'unlock'", operation);
  }
  const steps = new Steps(options, 'flock');
  const nonBlocking = options?.nonBlocking ?? false;
  if (typeof nonBlocking !== 'boolean') throw invalidArgType('options.nonBlocking', 'of type boolean', nonBlocking);
  steps.next(); // aborted already: nothing runs
  if (fd < 0) throw new SyscallError(-9, 'flock');
  for (let before = late.get(fd); before !== undefined; before = late.get(fd)) await steps.until(before);
  const request = constants[kOperations[operation]] | (nonBlocking ? constants.LOCK_NB : 0);
  if (steps.canEndEarly && operation !== 'unlock') await lockThroughDuplicate(fd, request, steps);
  else await steps.call('flock', [fd, request], 'flock');
}
