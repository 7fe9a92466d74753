// Somebody without rights, for tests that need one: root is refused nothing, so root's tests ask a child of another user.
import { spawnSync } from 'node:child_process';

/** Options of a child process: another user where this one is root, else nothing. */
export const stranger = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};

/** Whether the stranger reaches these paths: a checkout in root's home, or made under umask 077, is closed to it. */
export function mayRead(...paths: readonly string[]): boolean {
  return paths.every((path) => spawnSync('test', ['-r', path], { cwd: '/', ...stranger }).status === 0);
}
