/* How a call gets the descriptor of a FileHandle: it stays open while the call uses it. */
import { SyscallError } from '../../errors';
import { Errno } from '../../generated/wire';
import { kNoHandle, type OpenHandle } from '../../native';

/** Anything with a descriptor, for instance a FileHandle of acall or of node:fs. */
export interface HasDescriptor {
  /** The descriptor. */
  readonly fd: number;
}

/** @internal The method by which a FileHandle of acall lends its descriptor and the number of its handle in the core. */
export const kUse = Symbol('acall.use');

type Work<T> = (fd: number, handle: OpenHandle) => Promise<T>;

/** @internal Runs `work` on a descriptor. A FileHandle of acall is not closed before `work` has settled. */
export async function withDescriptor<T>(of: HasDescriptor | number, label: string, work: Work<T>): Promise<T> {
  if (typeof of === 'number') return work(of, kNoHandle);
  const use = (of as { [kUse]?: (work: Work<T>, label: string) => Promise<T> })[kUse];
  if (use !== undefined) return use.call(of, work, label);
  if (of.fd < 0) throw new SyscallError(-Errno.EBADF, label);
  return work(of.fd, kNoHandle);
}
