/* What a traversal could not read, as an error of node:fs. */
import { SyscallError } from '../errors';
import type { NativeTreeError } from '../native';

const kCalls = ['scandir', 'scandir', 'lstat'] as const; // native TreeCall, as node:fs names them

/** What could not be read, as an error of node:fs. */
export function treeError({ path, errno, call }: NativeTreeError): SyscallError {
  const text = typeof path === 'string' ? path : Buffer.from(path).toString();
  return new SyscallError(errno, kCalls[call]!, { path: text });
}
