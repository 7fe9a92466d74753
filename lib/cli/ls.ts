/* acall ls [PATH...] */
import type { Stats } from 'node:fs';
import { readdir } from '../fs/tree/readdir';
import { modeText, nameText, numbersOf, printable, typeOf } from './entries';
import { complain, Exit, line, messageOf, table } from './output';

interface LsCommandOptions {
  json?: boolean;
  all?: boolean;
  long?: boolean;
}

const kShortTime = 16; // '2026-01-31 12:34'
const kColumns = 80;

/** Lists folders one after the other; with --all also hidden names. */
export async function lsCommand(paths: readonly string[], options: LsCommandOptions): Promise<void> {
  let failed = false;
  for (const [i, path] of paths.entries()) {
    try {
      const found = await readdir(path, { withFileTypes: true, withStats: options.long || options.json });
      const entries = (found as ((typeof found)[number] & { stats?: Stats })[])
        .map((entry) => ({ name: String(entry.name), type: typeOf(entry), stats: entry.stats }))
        .filter(({ name }) => options.all || !name.startsWith('.'))
        .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
      if (options.json) {
        for (const { name, type, stats } of entries) {
          const pending = line(JSON.stringify({ name, type, ...(stats ? numbersOf(stats) : {}) }));
          if (pending) await pending;
        }
        continue;
      }
      if (paths.length > 1) await line(`${i > 0 ? '\n' : ''}${printable(path)}:`);
      if (entries.length === 0) continue;
      if (options.long) {
        const rows = entries.map(({ name, type, stats }) =>
          stats === undefined
            ? ['?', '?', '?', '?', '?', nameText(printable(name), type)]
            : [
                modeText(type, stats.mode),
                String(stats.nlink),
                `${stats.uid}:${stats.gid}`,
                String(stats.size),
                stats.mtime.toISOString().replace('T', ' ').slice(0, kShortTime),
                nameText(printable(name), type, stats.mode),
              ],
        );
        await line(table([], rows, [1, 3]));
      } else if (process.stdout.isTTY) {
        const columns = require('cli-columns') as (names: string[], options: object) => string;
        const names = entries.map(({ name, type }) => nameText(printable(name), type));
        await line(columns(names, { sort: false, width: process.stdout.columns || kColumns }));
      } else {
        await line(entries.map(({ name }) => name).join('\n'));
      }
    } catch (error) {
      failed = true;
      complain(messageOf(error));
    }
  }
  if (failed) throw new Exit(1);
}
