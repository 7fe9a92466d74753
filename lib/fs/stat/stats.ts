/*
 * Builds fs.Stats and fs.BigIntStats from numbers, with the same fields in the same order as node:fs, so that
 * util.isDeepStrictEqual() finds no difference. The constructors of node:fs are no public interface.
 */
import * as fs from 'node:fs';
import { StatIntegers } from '../../generated/wire';

type Fields = [
  dev: number,
  mode: number,
  nlink: number,
  uid: number,
  gid: number,
  rdev: number,
  blksize: number,
  ino: number,
  size: number,
  blocks: number,
  atimeMs: number,
  mtimeMs: number,
  ctimeMs: number,
  birthtimeMs: number,
];
type StatsConstructor = new (...fields: Fields) => fs.Stats;

const kDates = ['atime', 'mtime', 'ctime', 'birthtime'] as const;

/* Whether the four Dates of this Node's Stats are own properties (Node 20), or getters of the prototype (later ones). */
const sample = fs.statSync('/');
const hasOwnDates = Object.hasOwn(sample, 'atime');

function dateOf(ms: number): Date {
  return new Date(Math.round(ms));
}

/* Written out, because a loop over the names takes twice the time. */
function OwnStats(
  this: Record<string, unknown>,
  ...[dev, mode, nlink, uid, gid, rdev, blksize, ino, size, blocks, atimeMs, mtimeMs, ctimeMs, birthtimeMs]: Fields
): void {
  this.dev = dev;
  this.mode = mode;
  this.nlink = nlink;
  this.uid = uid;
  this.gid = gid;
  this.rdev = rdev;
  this.blksize = blksize;
  this.ino = ino;
  this.size = size;
  this.blocks = blocks;
  this.atimeMs = atimeMs;
  this.mtimeMs = mtimeMs;
  this.ctimeMs = ctimeMs;
  this.birthtimeMs = birthtimeMs;
  if (!hasOwnDates) return;
  this.atime = dateOf(atimeMs);
  this.mtime = dateOf(mtimeMs);
  this.ctime = dateOf(ctimeMs);
  this.birthtime = dateOf(birthtimeMs);
}
OwnStats.prototype = fs.Stats.prototype;

/** The constructor of Stats as this Node makes them. */
export const NodeStats = OwnStats as unknown as StatsConstructor;

/*
 * Node 26 stores nanoseconds in its Stats under private symbols, for its Instant getters. A sample shows the symbols by their
 * names; earlier versions have none.
 */
const partials = ['atime', 'mtime', 'ctime', 'birthtime'].map((time) =>
  Object.getOwnPropertySymbols(sample).find((symbol) => symbol.description?.toLowerCase().includes(`partial${time}ns`)),
);
/** Whether this Node's Stats have nanoseconds, which {@link setNanoseconds} stores. */
export const hasNanoseconds = partials.every((symbol) => symbol !== undefined);

/** Stores the nanoseconds (0 to 999,999,999) of the four times. Only where {@link hasNanoseconds} is true. */
export function setNanoseconds(
  stats: fs.Stats,
  ...[atime, mtime, ctime, birthtime]: [number, number, number, number]
): fs.Stats {
  const target = stats as unknown as Record<symbol, number>;
  target[partials[0]!] = atime;
  target[partials[1]!] = mtime;
  target[partials[2]!] = ctime;
  target[partials[3]!] = birthtime;
  return stats;
}

let bigintPrototype: object | undefined;
const kIntegers: readonly (readonly [field: string, place: number])[] = [
  ['dev', StatIntegers.dev],
  ['mode', StatIntegers.mode],
  ['nlink', StatIntegers.nlink],
  ['uid', StatIntegers.uid],
  ['gid', StatIntegers.gid],
  ['rdev', StatIntegers.rdev],
  ['blksize', StatIntegers.blksize],
  ['ino', StatIntegers.ino],
  ['size', StatIntegers.size],
  ['blocks', StatIntegers.blocks],
];
const kTimes: readonly (readonly [seconds: number, nanoseconds: number])[] = [
  [StatIntegers.atimeSec, StatIntegers.atimeNsec],
  [StatIntegers.mtimeSec, StatIntegers.mtimeNsec],
  [StatIntegers.ctimeSec, StatIntegers.ctimeNsec],
  [StatIntegers.birthtimeSec, StatIntegers.birthtimeNsec],
];

/** Makes BigIntStats from the StatIntegers that begin at index `at`. */
export function bigintStats(integers: BigInt64Array, at: number): fs.BigIntStats {
  bigintPrototype ??= Object.getPrototypeOf(fs.statSync('/', { bigint: true })) as object;
  const stats = Object.create(bigintPrototype) as Record<string, unknown>;
  for (const [field, place] of kIntegers) stats[field] = integers[at + place]!;
  const ns = kTimes.map(
    ([seconds, nanoseconds]) => integers[at + seconds]! * 1_000_000_000n + integers[at + nanoseconds]!,
  );
  kDates.forEach((field, i) => {
    stats[`${field}Ms`] = ns[i]! / 1_000_000n;
  });
  kDates.forEach((field, i) => {
    stats[`${field}Ns`] = ns[i]!;
  });
  if (hasOwnDates) for (const field of kDates) stats[field] = dateOf(Number(stats[`${field}Ms`]));
  return stats as unknown as fs.BigIntStats;
}
