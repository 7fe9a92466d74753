/* The errors of trees, as node:fs has them. */
import { SyscallError } from '../../errors';
import { TreeCall } from '../../generated/wire';
import type { NativeTreeError } from '../../native';

/* The names that node:fs gives these calls in errors. */
const kCalls: Readonly<Record<TreeCall, string>> = {
  [TreeCall.open]: 'scandir',
  [TreeCall.read]: 'scandir',
  [TreeCall.stat]: 'lstat',
  [TreeCall.unlink]: 'unlink',
  [TreeCall.removeDirectory]: 'rmdir',
  [TreeCall.refused]: 'unlink',
};

/** Makes the SyscallError for an entry that could not be read or removed. */
export function treeError({ path, errno, call }: NativeTreeError): SyscallError {
  const text = typeof path === 'string' ? path : Buffer.from(path).toString();
  return new SyscallError(errno, kCalls[call], { path: text, refused: call === TreeCall.refused });
}
