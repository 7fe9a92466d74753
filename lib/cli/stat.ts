/* acall stat PATH... */
import type { Stats } from 'node:fs';
import { lstat, stat } from '../fs/stat/stat';
import { modeText, numbersOf, printable, typeOf } from './entries';
import { complain, Exit, line, messageOf, paint, sizeText, table } from './output';

interface StatCommandOptions {
  json?: boolean;
  follow: boolean;
}

function show(path: string, stats: Stats): string {
  const type = typeOf(stats);
  const time = (at: Date): string => (at.getTime() === 0 ? '-' : at.toISOString().replace('T', ' ').replace('Z', ''));
  const rows = [
    ['type', type],
    ['size', `${stats.size} (${sizeText(stats.size)}), ${stats.blocks} blocks of 512, I/O block ${stats.blksize}`],
    ['mode', `${(stats.mode & 0o7777).toString(8).padStart(4, '0')} ${modeText(type, stats.mode)}`],
    ['owner', `${stats.uid}:${stats.gid}`],
    ['inode', `${stats.ino}, ${stats.nlink} ${stats.nlink === 1 ? 'link' : 'links'}, device ${stats.dev}`],
    ['accessed', time(stats.atime)],
    ['modified', time(stats.mtime)],
    ['changed', time(stats.ctime)],
    ['born', time(stats.birthtime)], // 0 where the file system does not know
  ].map(([name, value]) => [`  ${paint('dim', name!)}`, value!]);
  return `${paint('bold', printable(path))}\n${table([], rows)}`;
}

/** Looks up all paths at the same time; for each that fails it prints one line on stderr. */
export async function statCommand(paths: readonly string[], options: StatCommandOptions): Promise<void> {
  const look = options.follow ? stat : lstat;
  const results = await Promise.allSettled(paths.map((path) => look(path)));
  let failed = false;
  for (const [i, result] of results.entries()) {
    if (result.status === 'rejected') {
      failed = true;
      complain(messageOf(result.reason));
    } else if (options.json) await line(JSON.stringify(numbersOf(result.value)));
    else await line(show(paths[i]!, result.value));
  }
  if (failed) throw new Exit(1);
}
