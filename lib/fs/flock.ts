/* flock(2): locks of whole files that wait on a thread, not on the event loop. */
import type { CommonOptions } from '../engine';
import { checkInteger, invalidArgType, invalidArgValue } from '../errors';
import { syscall } from './syscall';

/** What {@link flock} does. */
export type FlockOperation = 'shared' | 'exclusive' | 'unlock';

/** An open file: its descriptor, or anything that has one (`fs.promises.FileHandle`). */
export type FileLike = number | { readonly fd: number };

const kOperations: Record<FlockOperation, number> = { shared: 1, exclusive: 2, unlock: 8 }; // LOCK_SH, LOCK_EX, LOCK_UN

/** @internal */
export function descriptorOf(file: unknown, name = 'file'): number {
  if (typeof file === 'number') return checkInteger(file, name, 0, 0x7fffffff);
  if (typeof file === 'object' && file !== null && typeof (file as { fd?: unknown }).fd === 'number') {
    return checkInteger((file as { fd: number }).fd, `${name}.fd`, 0, 0x7fffffff);
  }
  throw invalidArgType(name, 'of type number or an open file', file);
}

/**
 * Takes or gives back an advisory lock on an open file, and waits for it without blocking anybody. The lock belongs to the
 * open file description and goes with its last descriptor. An abort that comes just as the lock is granted may leave it
 * taken: unlock, or close the file.
 *
 * @example
 * await flock(file, 'exclusive', { timeout: 1000 });
 */
export async function flock(file: FileLike, operation: FlockOperation, options?: CommonOptions): Promise<void> {
  const fd = descriptorOf(file);
  if (typeof operation !== 'string' || !Object.hasOwn(kOperations, operation)) {
    throw invalidArgValue('operation', "must be 'shared', 'exclusive' or 'unlock'", operation);
  }
  await syscall('flock', [fd, kOperations[operation]], options);
}
