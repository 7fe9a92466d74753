/* acall bench: a short benchmark of this machine. `npm run bench` in a checkout measures more carefully. */
import * as fs from 'node:fs';
import { syscall } from '../call/syscall';
import { asyncScope, StatBuffer } from '../fs/stat/async-stat';
import { stat } from '../fs/stat/stat';
import { statMany } from '../fs/stat/stat-many';
import { complain, Exit, line, paint, table } from './output';

interface BenchCommandOptions {
  files: number;
  json?: boolean;
}

const kRounds = 3;
const kCalls = 20_000;

interface Measured {
  work: string;
  driver: string;
  microseconds: number;
}

async function best(count: number, work: () => Promise<unknown> | unknown): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < kRounds; round++) {
    const start = process.hrtime.bigint();
    await work();
    least = Math.min(least, Number(process.hrtime.bigint() - start) / 1000 / count);
  }
  return least;
}

/**
 * Finds `count` paths of files below `root` that this user may stat. Where there are fewer, they are repeated. `unreadable` is the
 * number of files and folders that the user may not look at.
 */
function somePaths(root: string, count: number): { paths: string[]; unreadable: number } {
  const paths: string[] = [];
  const folders = [root];
  let unreadable = 0;
  const look = <T>(at: () => T): T | undefined => {
    try {
      return at();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') unreadable++;
      return undefined;
    }
  };
  while (folders.length > 0 && paths.length < count) {
    const folder = folders.pop()!;
    for (const entry of look(() => fs.readdirSync(folder, { withFileTypes: true })) ?? []) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) folders.push(path);
      else if (entry.isFile() && look(() => fs.lstatSync(path)) !== undefined) paths.push(path);
    }
  }
  for (let i = 0; paths.length < count && paths.length > 0; i++) paths.push(paths[i]!);
  return { paths: paths.slice(0, count), unreadable };
}

/** Measures each way of working, and prints the microseconds for one call: the best of three rounds. */
export async function benchCommand(options: BenchCommandOptions): Promise<void> {
  const { paths, unreadable } = somePaths('/usr', Math.max(1, options.files));
  if (paths.length === 0) throw new Exit(1, 'there is no file below /usr that may be looked at');
  if (unreadable > 0) complain(`unreadable below /usr and left out: ${unreadable}`);
  const n = paths.length;
  const work = `stat ${n} files`;
  const results: Measured[] = [];
  const measure = async (
    name: string,
    driver: string,
    count: number,
    run: () => Promise<unknown> | unknown,
  ): Promise<void> => {
    results.push({ work: name, driver, microseconds: await best(count, run) });
  };
  await measure(work, 'fs.statSync', n, () => {
    for (const path of paths) fs.statSync(path);
  });
  await measure(
    work,
    'fs.stat, all at once',
    n,
    () =>
      new Promise<void>((resolve) => {
        let left = n;
        for (const path of paths) fs.stat(path, () => --left === 0 && resolve());
      }),
  );
  await measure(work, 'fs.promises.stat, all at once', n, () =>
    Promise.all(paths.map((path) => fs.promises.stat(path))),
  );
  await measure(work, 'acall stat, all at once', n, () => Promise.all(paths.map((path) => stat(path))));
  const { async_stat, wait_for_async } = asyncScope();
  const buffers = paths.map(() => new StatBuffer());
  await measure(work, 'acall async_stat', n, () => {
    for (let i = 0; i < n; i++) async_stat(paths[i]!, buffers[i]!);
    return wait_for_async();
  });
  await measure(work, 'acall statMany', n, () => statMany(paths));
  await measure('one stat at a time', 'fs.promises.stat', kCalls, async () => {
    for (let i = 0; i < kCalls; i++) await fs.promises.stat(paths[0]!);
  });
  await measure('one stat at a time', 'acall stat', kCalls, async () => {
    for (let i = 0; i < kCalls; i++) await stat(paths[0]!);
  });
  await measure('getppid', 'acall syscall, all at once', kCalls, () =>
    Promise.all(Array.from({ length: kCalls }, () => syscall('getppid'))),
  );
  if (options.json) {
    for (const result of results) await line(JSON.stringify(result));
    return;
  }
  const rows = results.map(({ work: name, driver, microseconds }) => [name, driver, microseconds.toFixed(2)]);
  await line(table(['work', 'by', 'us each'], rows, [2]));
  await line(paint('dim', `best of ${kRounds} rounds, Node ${process.version}, ${process.arch}`));
}
