/*
 * Builds what node:fs builds from numbers: fs.Stats and fs.BigIntStats, field by field in the same order, so that
 * util.isDeepStrictEqual finds no difference. The constructors of node:fs themselves are not for callers.
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
]; // prettier-ignore
type StatsConstructor = new (...fields: Fields) => fs.Stats;

const kDates = ['atime', 'mtime', 'ctime', 'birthtime'] as const;

/* Whether Node makes the four Date fields at once, as own properties (Node 20), or by getters of the prototype. */
const sample = fs.statSync('/');
const hasOwnDates = Object.hasOwn(sample, 'atime');

function dateOf(ms: number): Date {
  return new Date(Math.round(ms));
}

function BareStats(
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
}

BareStats.prototype = fs.Stats.prototype;

/* Written out: half the time of the same in a loop over names. */
function DatedStats(
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
  this.atime = dateOf(atimeMs);
  this.mtime = dateOf(mtimeMs);
  this.ctime = dateOf(ctimeMs);
  this.birthtime = dateOf(birthtimeMs);
}
DatedStats.prototype = fs.Stats.prototype;

/** Stats exactly as this Node makes them. */
export const NodeStats = (hasOwnDates ? DatedStats : BareStats) as unknown as StatsConstructor;

/*
 * Node 26 keeps the nanoseconds below the millisecond's reach under symbols of its own, for its Instant getters; they are
 * found by their names on a sample. None before.
 */
const partials = ['atime', 'mtime', 'ctime', 'birthtime'].map((time) =>
  Object.getOwnPropertySymbols(sample).find((symbol) => symbol.description?.toLowerCase().includes(`partial${time}ns`)),
);
/** Whether this Node's Stats carry nanoseconds: {@link setNanoseconds} them then. */
export const hasNanoseconds = partials.every((symbol) => symbol !== undefined);

/** Stores the nanoseconds (0 to 999,999,999) of the four times where this Node keeps them. */
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

/** BigIntStats from the StatIntegers that begin at index `at`. */
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
