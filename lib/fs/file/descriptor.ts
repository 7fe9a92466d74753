/* What has a descriptor, and how a call gets it: one of ours stays open while the call has it. */
import { SyscallError } from '../../errors';
import { Errno } from '../../generated/wire';
import { kNoHandle, type OpenHandle } from '../../native';

/** Anything with a descriptor, for instance a FileHandle. */
export interface HasDescriptor {
  readonly fd: number;
}

/** @internal How a FileHandle lends its descriptor and the engine's record of it ({@link kNoHandle}: none). */
export const kUse = Symbol('acall.use');

type Work<T> = (fd: number, handle: OpenHandle) => Promise<T>;

/** @internal Runs `work` on a descriptor; that of a handle of ours is not closed before it has settled. */
export async function withDescriptor<T>(of: HasDescriptor | number, label: string, work: Work<T>): Promise<T> {
  if (typeof of === 'number') return work(of, kNoHandle);
  const use = (of as { [kUse]?: (work: Work<T>, label: string) => Promise<T> })[kUse];
  if (use !== undefined) return use.call(of, work, label);
  if (of.fd < 0) throw new SyscallError(-Errno.EBADF, label);
  return work(of.fd, kNoHandle);
}
