/* readdir(): the entries of one folder as names or Dirents, with stats on request; with `recursive` those of all folders below. */

import * as fs from 'node:fs';
import { join } from 'node:path';
import { Steps } from '../../call/steps';
import { invalidArgType, SyscallError } from '../../errors';
import { EntryType, JobOption } from '../../generated/wire';
import { type CommonOptions, commonOf, withCommon } from '../../promise/options';
import { shareTurn } from '../../promise/turn-clock';
import { isUtf8, kNodeMajor, textOptions } from '../node-like';
import { type PathLike, pathArgument, shownPath } from '../paths';
import { stat } from '../stat/stat';
import { Page, TreeReader } from './tree-reader';

/** Options of {@link readdir}. */
export interface ReaddirOptions extends CommonOptions {
  /** true: fs.Dirent objects instead of names. */
  withFileTypes?: boolean | null | undefined;
  /**
   * true: also the entries of all folders below, as paths relative to this folder, in the order of the running node:fs. It
   * visits one folder after the other. {@link walk} is faster.
   */
  recursive?: boolean | null | undefined;
  /** true: fs.Dirent objects with `stats`, the lstat(2) result of each entry. */
  withStats?: boolean | undefined;
  /** Encoding of the names; 'utf8' by default. 'buffer': names are Buffers, which keeps names that are not UTF-8. */
  encoding?: BufferEncoding | 'buffer' | null | undefined;
}

/** The fields that `withStats` adds to a Dirent. */
export interface WithStats {
  /** lstat(2) of the entry; undefined when the lookup failed, for instance because the entry was removed meanwhile. */
  stats?: fs.Stats;
  /** Why there are no `stats`. */
  error?: SyscallError;
}

/* Node's own numbers of types, UV_DIRENT_* of fs.constants, by EntryType. */
const node = fs.constants as unknown as Readonly<Record<string, number>>;
const kOptions = withCommon('encoding withFileTypes recursive withStats');
const kNodeTypes = new Uint8Array(256);
kNodeTypes[EntryType.file] = node.UV_DIRENT_FILE!;
kNodeTypes[EntryType.directory] = node.UV_DIRENT_DIR!;
kNodeTypes[EntryType.symbolicLink] = node.UV_DIRENT_LINK!;
kNodeTypes[EntryType.fifo] = node.UV_DIRENT_FIFO!;
kNodeTypes[EntryType.socket] = node.UV_DIRENT_SOCKET!;
kNodeTypes[EntryType.characterDevice] = node.UV_DIRENT_CHAR!;
kNodeTypes[EntryType.blockDevice] = node.UV_DIRENT_BLOCK!;

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

/*
 * Fairness: entries between two looks at the clock. Sorting cannot be interrupted, and runs of 4,096 cost a tenth more to
 * merge.
 */
const kSortedAtOnce = 32_768;
const kUntilClock = 4096;

type Order = (one: Entry, other: Entry) => number;
const byText: Order = (one, other) => (one < other ? -1 : one > other ? 1 : 0);
const byBytes: Order = (one, other) => Buffer.compare(one as Buffer, other as Buffer);
const nameOf = (entry: Entry): Name => (entry as fs.Dirent).name;

/* The order for entries of this kind. */
function orderOf(entry: Entry | undefined): Order {
  if (typeof entry === 'string' || entry === undefined) return byText;
  if (Buffer.isBuffer(entry)) return byBytes;
  const order = typeof entry.name === 'string' ? byText : byBytes;
  return (one, other) => order(nameOf(one), nameOf(other));
}

/*
 * Sorts entries by name, as node:fs gives them. Very many entries are sorted in several turns of the loop: sorted runs, then
 * merged.
 */
async function inOrder(entries: Entry[]): Promise<Entry[]> {
  const order = orderOf(entries[0]);
  // Strings are sorted without a compare function, in JavaScript's own order: several times as fast.
  const sorted = (some: Entry[]): Entry[] => (order === byText ? some.sort() : some.sort(order));
  if (entries.length <= kSortedAtOnce) return sorted(entries);
  let runs: Entry[][] = [];
  for (let at = 0; at < entries.length; at += kSortedAtOnce) {
    runs.push(sorted(entries.slice(at, at + kSortedAtOnce)));
    await shareTurn();
  }
  while (runs.length > 1) {
    const longer: Entry[][] = [];
    for (let r = 0; r < runs.length; r += 2) longer.push(await merged(runs[r]!, runs[r + 1] ?? [], order));
    runs = longer;
  }
  return runs[0]!;
}

async function merged(a: readonly Entry[], b: readonly Entry[], order: Order): Promise<Entry[]> {
  const both: Entry[] = [];
  for (let i = 0, j = 0; i < a.length || j < b.length; ) {
    const stop = both.length + kUntilClock;
    while (both.length < stop && i < a.length && j < b.length) {
      both.push(order(a[i]!, b[j]!) <= 0 ? a[i++]! : b[j++]!);
    }
    if (j >= b.length) while (both.length < stop && i < a.length) both.push(a[i++]!);
    if (i >= a.length) while (both.length < stop && j < b.length) both.push(b[j++]!);
    await shareTurn();
  }
  return both;
}

/* Decodes names that were sorted as bytes. */
async function decoded(entries: Entry[], encoding: BufferEncoding): Promise<Entry[]> {
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i]!;
    if (Buffer.isBuffer(entry)) entries[i] = entry.toString(encoding);
    else (entry as fs.Dirent).name = ((entry as fs.Dirent).name as unknown as Buffer).toString(encoding);
    if (i % kUntilClock === 0) await shareTurn();
  }
  return entries;
}

/* How the entries of a folder are wanted. */
interface Listing {
  readonly encoding: BufferEncoding | 'buffer';
  readonly asDirents: boolean;
  readonly withStats: boolean;
}

/* Lists one folder. `parent` becomes `parentPath` of its Dirents. */
async function listFolder(
  folder: string | Uint8Array,
  parent: unknown,
  { encoding, asDirents, withStats }: Listing,
  common: CommonOptions | undefined,
): Promise<Entry[]> {
  const reader = new TreeReader(folder, JobOption.namesOnly | (withStats ? JobOption.stats : 0), 1, true, common);
  const shown = shownPath(folder);
  const pages: Page[] = [];
  for (let found = await reader.next(); found !== undefined; found = await reader.next()) {
    if (found.errors.length > 0) {
      reader.close();
      throw found.errors[0];
    }
    for (const page of found.pages) pages.push(new Page(page));
  }
  // Names are ordered by their bytes. The order of strings is the same only where all names are ASCII.
  const sortsBytes = !isUtf8(encoding) || pages.some((page) => !page.isAscii);
  const entries: Entry[] = [];
  for (const page of pages) {
    const names: Name[] = sortsBytes ? page.texts() : page.strings();
    const found: Entry[] = asDirents ? direntsOf(page, names, parent, shown) : names;
    for (const entry of found) entries.push(entry);
    await shareTurn();
  }
  const ordered = await inOrder(entries);
  return sortsBytes && encoding !== 'buffer' ? decoded(ordered, encoding) : ordered;
}

/* A folder of a recursive readdir: its path as node:fs joins it, and the prefix of its names in the result. */
interface Folder {
  readonly path: Buffer;
  readonly prefix: Buffer;
  readonly entries: (fs.Dirent<Buffer> & WithStats)[];
}

const kSlash = Buffer.from('/');
/*
 * Node 26 lists level by level, and earlier versions list the folder found last first. Earlier versions follow symbolic links only
 * where names are asked for; Node 26 always does.
 */
const kByLevels = kNodeMajor >= 26;

async function isFolder(
  entry: fs.Dirent<Buffer>,
  path: Buffer,
  followsLinks: boolean,
  common: CommonOptions | undefined,
) {
  if (entry.isDirectory()) return true;
  if (!followsLinks || !entry.isSymbolicLink()) return false;
  try {
    return (await stat(path, common)).isDirectory();
  } catch (error) {
    if (error instanceof SyscallError && error.code !== 'ETIMEDOUT') return false;
    throw error;
  }
}

/*
 * Lists a folder and all folders below it, in the order of node:fs. It works on bytes, so that names that are not UTF-8 are
 * found.
 */
async function listTree(
  root: string | Uint8Array,
  parent: unknown,
  listing: Listing,
  options: CommonOptions | undefined,
) {
  const { encoding, asDirents } = listing;
  const steps = new Steps(options, 'scandir', shownPath(root));
  const bytes: Listing = { ...listing, encoding: 'buffer', asDirents: true };
  const list = async (path: string | Uint8Array, of: unknown) =>
    (await listFolder(path, of, bytes, steps.next())) as unknown as Folder['entries'];
  const text = (name: Buffer): Name => (encoding === 'buffer' ? name : name.toString(encoding));
  const joinedRoot = typeof root === 'string' ? Buffer.from(join(root, '/')) : Buffer.concat([root, kSlash]);
  const found: Entry[] = [];
  const folders: Folder[] = [{ path: joinedRoot, prefix: Buffer.alloc(0), entries: await list(root, parent) }];
  if (typeof root === 'string' && joinedRoot.toString() === './')
    folders[0] = { ...folders[0]!, path: Buffer.alloc(0) };
  while (folders.length > 0) {
    const { path, prefix, entries } = kByLevels ? folders.shift()! : folders.pop()!;
    for (const entry of entries) {
      const { name } = entry;
      const below = Buffer.concat([path, name]);
      const isBelow = await isFolder(entry, below, kByLevels || !asDirents, steps.next());
      if (asDirents) (entry as unknown as fs.Dirent).name = text(name) as string;
      found.push(asDirents ? (entry as unknown as Entry) : text(Buffer.concat([prefix, name])));
      if (!isBelow) continue;
      const of = encoding === 'buffer' && kByLevels ? below : below.toString();
      folders.push({
        path: Buffer.concat([below, kSlash]),
        prefix: Buffer.concat([prefix, name, kSlash]),
        entries: await list(below, of),
      });
    }
    await shareTurn();
  }
  return found;
}

/**
 * The entries of a folder in the order of their names, without `.` and `..`, as `fs.promises.readdir` returns them. With very many
 * entries other work of the event loop goes on meanwhile.
 *
 * Rejects with a SyscallError `scandir` (ENOENT, ENOTDIR ...), with an AbortError or ETIMEDOUT for `signal` and `timeout`,
 * and with ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE or ERR_OUT_OF_RANGE for wrong arguments.
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
export function readdir(path: PathLike, options: 'buffer'): Promise<Buffer[]>;
export function readdir(path: PathLike, options?: BufferEncoding | ReaddirOptions | null): Promise<string[]>;
export async function readdir(
  path: PathLike,
  options?: BufferEncoding | 'buffer' | ReaddirOptions | null,
): Promise<unknown> {
  const given = textOptions<ReaddirOptions>(options, kOptions);
  const { withFileTypes, recursive, withStats = false } = given;
  if (typeof withStats !== 'boolean') throw invalidArgType('options.withStats', 'of type boolean', withStats);
  const argument = pathArgument(path);
  const parent = typeof argument === 'string' ? argument : path;
  const listing = { encoding: given.encoding || 'utf8', asDirents: Boolean(withFileTypes) || withStats, withStats };
  const list = recursive ? listTree : listFolder;
  return list(argument, parent, listing, commonOf(given));
}
