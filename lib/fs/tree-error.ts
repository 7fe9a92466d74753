/* What a traversal could not read or remove, as an error of node:fs. */
import { SyscallError } from '../errors';
import type { NativeTreeError } from '../native';

const kCalls = ['scandir', 'scandir', 'lstat', 'unlink', 'rmdir', 'unlink'] as const; // native TreeCall, as node:fs names them
const kRefused = 5; // by restrict(), before anything was done

/** What could not be read or removed, as an error of node:fs. */
export function treeError({ path, errno, call }: NativeTreeError): SyscallError {
  const text = typeof path === 'string' ? path : Buffer.from(path).toString();
  return new SyscallError(errno, kCalls[call]!, { path: text, refused: call === kRefused });
}
