/** Names, numbers and libc's texts of errors, for lib/generated/errno.ts. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { banner } from './emit-syscalls.mjs';

// Second names of a number. The first name is the one that the kernel's tables and strace print.
const aliases = new Set(['EWOULDBLOCK', 'EDEADLOCK', 'ENOTSUP']);

/** strerror of this machine's libc for 1 .. highest; texts do not depend on the architecture. */
function texts(command, highest) {
  const folder = mkdtempSync(join(tmpdir(), 'acall-errno-'));
  try {
    const program = join(folder, 'texts');
    execFileSync(command, ['-x', 'c', '-o', program, '-'], {
      input: `#include <stdio.h>
#include <string.h>
int main(void) { for (int i = 1; i <= ${highest}; i++) printf("%s\\n", strerror(i)); }`,
    });
    return execFileSync(program, { encoding: 'utf8', env: { LC_ALL: 'C' } })
      .trimEnd()
      .split('\n');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export function emitErrno(command, { constants, errors }) {
  const names = [...constants].filter(([name]) => errors.has(name));
  const byNumber = [];
  for (const [name, number] of names) if (!aliases.has(name)) byNumber[number] = name;
  const strings = texts(command, byNumber.length - 1);
  const list = byNumber.map((name, number) => [name ?? '', strings[number - 1]]).slice(1);
  const rows = Array.from(list, (entry) => (entry ? `${entry[0]} ${entry[1]}` : '')).join('|');
  return `${banner}
/* "NAME text" for 1, 2, 3 ... */
const rows =
  '${rows.replaceAll("'", "\\'")}';

let list: readonly string[] | undefined;
const row = (errno: number): string => {
  list ??= rows.split('|');
  return list[errno - 1] ?? '';
};

/**
 * The kernel's name of a positive error number, as strace prints it, or undefined: 2 is 'ENOENT', 95 'EOPNOTSUPP'
 * (Node says ENOTSUP).
 */
export function errnoName(errno: number): string | undefined {
  return row(errno).split(' ', 1)[0] || undefined;
}

/** libc's text for a positive error number, or undefined: 2 is 'No such file or directory'. */
export function errnoText(errno: number): string | undefined {
  const text = row(errno);
  return text === '' ? undefined : text.slice(text.indexOf(' ') + 1);
}
`;
}
