// Somebody without rights, for tests that need one: root is refused nothing, so root's tests ask a child of another user.
import { spawnSync } from 'node:child_process';

/** Options of a child process: another user where this one is root, else nothing. */
export const stranger = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};

/** Whether the stranger reads these files and gets into these folders: root's home and what umask 077 made is closed to it. */
export function mayRead(...paths: readonly string[]): boolean {
  const may = '[ -d "$1" ] && [ -x "$1" ] || [ -r "$1" ]';
  return paths.every((path) => spawnSync('sh', ['-c', may, 'sh', path], { cwd: '/', ...stranger }).status === 0);
}
