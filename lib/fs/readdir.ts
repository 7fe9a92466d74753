/* readdir: what one folder holds, as names or Dirents, with stats on request. */

import * as fs from 'node:fs';
import type { CommonOptions } from '../engine';
import { invalidArgType, invalidArgValue, SyscallError } from '../errors';
import { now, setImmediate } from '../timers';
import { type PathLike, pathArgument } from './paths';
import {
  kBlockDevice,
  kCharacterDevice,
  kDirectory,
  kFifo,
  kFile,
  kNamesOnly,
  kSocket,
  kSymbolicLink,
  kWithStats,
  Page,
  TreeReader,
} from './tree';

/** Options of {@link readdir}. */
export interface ReaddirOptions extends CommonOptions {
  /** true: fs.Dirent objects instead of names. */
  withFileTypes?: boolean | undefined;
  /** true: fs.Dirent objects with `stats`, what lstat(2) says of each entry. */
  withStats?: boolean | undefined;
  /** 'buffer': names are Buffers, so that those that are not UTF-8 survive. */
  encoding?: 'utf8' | 'buffer' | undefined;
}

/** What `withStats` adds to a Dirent. */
export interface WithStats {
  /** lstat(2) of the entry; undefined when the lookup failed, for instance since the entry was removed meanwhile. */
  stats?: fs.Stats;
  /** Why there are no `stats`. */
  error?: SyscallError;
}

/* Node's own numbers of types, UV_DIRENT_* of fs.constants, by DT_ value. */
const node = fs.constants as unknown as Readonly<Record<string, number>>;
const kNodeTypes = new Uint8Array(256);
kNodeTypes[kFile] = node.UV_DIRENT_FILE!;
kNodeTypes[kDirectory] = node.UV_DIRENT_DIR!;
kNodeTypes[kSymbolicLink] = node.UV_DIRENT_LINK!;
kNodeTypes[kFifo] = node.UV_DIRENT_FIFO!;
kNodeTypes[kSocket] = node.UV_DIRENT_SOCKET!;
kNodeTypes[kCharacterDevice] = node.UV_DIRENT_CHAR!;
kNodeTypes[kBlockDevice] = node.UV_DIRENT_BLOCK!;

type Name = string | Buffer;
type Entry = string | Buffer | (fs.Dirent & WithStats);
type DirentConstructor = new (name: string | Buffer, type: number, parent: unknown) => fs.Dirent & WithStats;
const Dirent = fs.Dirent as unknown as DirentConstructor;

function direntsOf(page: Page, names: readonly Name[], parent: unknown, shown: string): (fs.Dirent & WithStats)[] {
  return names.map((name, row) => {
    const dirent = new Dirent(name, kNodeTypes[page.types[row]!]!, parent);
    if (page.stats !== undefined) {
      const error = page.stats.error(row);
      if (error === 0) dirent.stats = page.stats.stats(row);
      else dirent.error = new SyscallError(error, 'lstat', { path: `${shown}/${name}` });
    }
    return dirent;
  });
}

const kTurnMs = 8;
const kSortedAtOnce = 32_768;
const kDecodedAtOnce = 4096;

/* Lets the loop's other work go on, now and then. */
class Turns {
  #since = now();

  async share(): Promise<void> {
    if (now() - this.#since <= kTurnMs) return;
    await new Promise(setImmediate);
    this.#since = now();
  }
}

type Order = (one: Entry, other: Entry) => number;
const byText: Order = (one, other) => (one < other ? -1 : one > other ? 1 : 0);
const byBytes: Order = (one, other) => Buffer.compare(one as Buffer, other as Buffer);
const nameOf = (entry: Entry): Name => (entry as fs.Dirent).name;

/* How entries of this kind are ordered. */
function orderOf(entry: Entry | undefined): Order {
  if (typeof entry === 'string' || entry === undefined) return byText;
  if (Buffer.isBuffer(entry)) return byBytes;
  const order = typeof entry.name === 'string' ? byText : byBytes;
  return (one, other) => order(nameOf(one), nameOf(other));
}

/* In the order of names, as node:fs gives them; a folder of very many is sorted in several turns of the loop. */
async function inOrder(entries: Entry[], turns: Turns): Promise<Entry[]> {
  const order = orderOf(entries[0]);
  // Without a function where it is the engine's own order, which is several times as fast.
  const sorted = (some: Entry[]): Entry[] => (order === byText ? some.sort() : some.sort(order));
  if (entries.length <= kSortedAtOnce) return sorted(entries);
  let runs: Entry[][] = [];
  for (let at = 0; at < entries.length; at += kSortedAtOnce) {
    runs.push(sorted(entries.slice(at, at + kSortedAtOnce)));
    await turns.share();
  }
  while (runs.length > 1) {
    const longer: Entry[][] = [];
    for (let r = 0; r < runs.length; r += 2) longer.push(await merged(runs[r]!, runs[r + 1] ?? [], order, turns));
    runs = longer;
  }
  return runs[0]!;
}

async function merged(a: readonly Entry[], b: readonly Entry[], order: Order, turns: Turns): Promise<Entry[]> {
  const both: Entry[] = [];
  for (let i = 0, j = 0; i < a.length || j < b.length; ) {
    const stop = both.length + 4096;
    while (both.length < stop && i < a.length && j < b.length) {
      both.push(order(a[i]!, b[j]!) <= 0 ? a[i++]! : b[j++]!);
    }
    if (j >= b.length) while (both.length < stop && i < a.length) both.push(a[i++]!);
    if (i >= a.length) while (both.length < stop && j < b.length) both.push(b[j++]!);
    await turns.share();
  }
  return both;
}

/* Names that were sorted as bytes, as text. */
async function decoded(entries: Entry[], turns: Turns): Promise<Entry[]> {
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i]!;
    if (Buffer.isBuffer(entry)) entries[i] = entry.toString();
    else (entry as fs.Dirent).name = String((entry as fs.Dirent).name);
    if (i % kDecodedAtOnce === 0) await turns.share();
  }
  return entries;
}

/**
 * What a folder holds, in the order of names, `.` and `..` left out: as `fs.promises.readdir`, with the same errors
 * (`scandir`), also for folders of a million entries.
 *
 * @example
 * for (const entry of await readdir('/etc', { withStats: true })) console.log(entry.name, entry.stats?.size);
 */
export function readdir(
  path: PathLike,
  options: ReaddirOptions & { withStats: true; encoding: 'buffer' },
): Promise<(fs.Dirent<Buffer> & WithStats)[]>;
export function readdir(
  path: PathLike,
  options: ReaddirOptions & { withStats: true },
): Promise<(fs.Dirent & WithStats)[]>;
export function readdir(
  path: PathLike,
  options: ReaddirOptions & { withFileTypes: true; encoding: 'buffer' },
): Promise<fs.Dirent<Buffer>[]>;
export function readdir(path: PathLike, options: ReaddirOptions & { withFileTypes: true }): Promise<fs.Dirent[]>;
export function readdir(path: PathLike, options: ReaddirOptions & { encoding: 'buffer' }): Promise<Buffer[]>;
export function readdir(path: PathLike, options?: ReaddirOptions): Promise<string[]>;
export async function readdir(path: PathLike, options: ReaddirOptions = {}): Promise<unknown> {
  const argument = pathArgument(path);
  if (typeof options !== 'object' || options === null) throw invalidArgType('options', 'of type object', options);
  const { withFileTypes = false, withStats = false, encoding = 'utf8', signal, timeout, ref } = options;
  if (typeof withFileTypes !== 'boolean')
    throw invalidArgType('options.withFileTypes', 'of type boolean', withFileTypes);
  if (typeof withStats !== 'boolean') throw invalidArgType('options.withStats', 'of type boolean', withStats);
  if (encoding !== 'utf8' && encoding !== 'buffer') {
    throw invalidArgValue('options.encoding', "must be 'utf8' or 'buffer'", encoding);
  }
  const flags = kNamesOnly | (withStats ? kWithStats : 0);
  const reader = new TreeReader(argument, flags, 1, true, { signal, timeout, ref });
  const shown = typeof argument === 'string' ? argument : Buffer.from(argument).toString();
  const parent = typeof argument === 'string' ? argument : path;
  const pages: Page[] = [];
  for (let found = await reader.next(); found !== undefined; found = await reader.next()) {
    if (found.errors.length > 0) {
      reader.close();
      throw found.errors[0];
    }
    for (const page of found.pages) pages.push(new Page(page));
  }
  // The order is that of the bytes, which that of strings is where all are ASCII.
  const sortsBytes = encoding === 'buffer' || pages.some((page) => !page.isAscii);
  const entries: Entry[] = [];
  const turns = new Turns();
  for (const page of pages) {
    const names: Name[] = sortsBytes ? page.texts() : page.strings();
    entries.push(...(withFileTypes || withStats ? direntsOf(page, names, parent, shown) : names));
    await turns.share();
  }
  const ordered = await inOrder(entries, turns);
  return sortsBytes && encoding === 'utf8' ? decoded(ordered, turns) : ordered;
}
