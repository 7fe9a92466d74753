/* What a traversal could not read or remove, as an error of node:fs. */
import { SyscallError } from '../../errors';
import { TreeCall } from '../../generated/wire';
import type { NativeTreeError } from '../../native';

/* As node:fs names them. */
const kCalls: Readonly<Record<TreeCall, string>> = {
  [TreeCall.open]: 'scandir',
  [TreeCall.read]: 'scandir',
  [TreeCall.stat]: 'lstat',
  [TreeCall.unlink]: 'unlink',
  [TreeCall.removeDirectory]: 'rmdir',
  [TreeCall.refused]: 'unlink',
};

/** What could not be read or removed, as an error of node:fs. */
export function treeError({ path, errno, call }: NativeTreeError): SyscallError {
  const text = typeof path === 'string' ? path : Buffer.from(path).toString();
  return new SyscallError(errno, kCalls[call], { path: text, refused: call === TreeCall.refused });
}
