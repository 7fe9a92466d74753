/*
 * stat(), lstat() and fstat(): equal to node:fs in every field and error. docs/design.md follows an awaited stat through the
 * engine.
 */
import type * as fs from 'node:fs';
import { checkDescriptor, invalidArgType, type OptionNames, SyscallError } from '../../errors';
import { StatFlag, StatNumbers, StatResult, Wire } from '../../generated/wire';
import { kNoHandle, native, type OpenHandle } from '../../native';
import { engine } from '../../promise/engine';
import { kLater, kNotNow } from '../../promise/inline-stats';
import { isError, Op, Phase, type StatTarget, timeoutError } from '../../promise/op';
import { type CommonOptions, checkCommonOptions, commonOf, withCommon } from '../../promise/options';
import { ownPath, type PathLike, pathArgument, shownPath } from '../paths';
import { bigintStats, hasNanoseconds, NodeStats, setNanoseconds } from './stats';

/** Options of {@link stat}, {@link lstat} and {@link fstat}. */
export interface StatOptions extends CommonOptions {
  /** true: every number is a bigint, and times come in nanoseconds too, as in node:fs. */
  bigint?: boolean | null | undefined;
}

type NumberFields = Pick<
  fs.Stats,
  | 'dev'
  | 'mode'
  | 'nlink'
  | 'uid'
  | 'gid'
  | 'rdev'
  | 'blksize'
  | 'ino'
  | 'size'
  | 'blocks'
  | 'atimeMs'
  | 'mtimeMs'
  | 'ctimeMs'
  | 'birthtimeMs'
>; // prettier-ignore

/* Makes a small integer of a double where it fits: V8 stores it without a heap object. */
function small(value: number): number {
  const integer = value | 0;
  return integer === value ? integer : value;
}

function readNumbers(slot: number): fs.Stats {
  const f = engine.slots.statNumbers(slot);
  const w = engine.slots.statWords(slot);
  const d = (slot & Wire.slotPlaceMask) * StatResult.sizeInDoubles;
  const u = (slot & Wire.slotPlaceMask) * StatResult.sizeInWords;
  const stats = new NodeStats(
    small(f[d + StatNumbers.dev]!),
    w[u + StatNumbers.mode]!,
    w[u + StatNumbers.nlink]!,
    w[u + StatNumbers.uid]!,
    w[u + StatNumbers.gid]!,
    small(f[d + StatNumbers.rdev]!),
    w[u + StatNumbers.blksize]!,
    small(f[d + StatNumbers.ino]!),
    small(f[d + StatNumbers.size]!),
    small(f[d + StatNumbers.blocks]!),
    f[d + StatNumbers.atimeMs]!,
    f[d + StatNumbers.mtimeMs]!,
    f[d + StatNumbers.ctimeMs]!,
    f[d + StatNumbers.birthtimeMs]!,
  );
  if (!hasNanoseconds) return stats;
  const [atime, mtime] = [w[u + StatNumbers.atimeNsec]!, w[u + StatNumbers.mtimeNsec]!];
  return setNanoseconds(stats, atime, mtime, w[u + StatNumbers.ctimeNsec]!, w[u + StatNumbers.birthtimeNsec]!);
}

/** @internal Copies the stat result of a slot into an object with its fields. */
export function statNumbersInto(slot: number, into: NumberFields): void {
  const f = engine.slots.statNumbers(slot);
  const w = engine.slots.statWords(slot);
  const d = (slot & Wire.slotPlaceMask) * StatResult.sizeInDoubles;
  const u = (slot & Wire.slotPlaceMask) * StatResult.sizeInWords;
  into.dev = small(f[d + StatNumbers.dev]!);
  into.rdev = small(f[d + StatNumbers.rdev]!);
  into.ino = small(f[d + StatNumbers.ino]!);
  into.size = small(f[d + StatNumbers.size]!);
  into.blocks = small(f[d + StatNumbers.blocks]!);
  into.atimeMs = f[d + StatNumbers.atimeMs]!;
  into.mtimeMs = f[d + StatNumbers.mtimeMs]!;
  into.ctimeMs = f[d + StatNumbers.ctimeMs]!;
  into.birthtimeMs = f[d + StatNumbers.birthtimeMs]!;
  into.mode = w[u + StatNumbers.mode]!;
  into.nlink = w[u + StatNumbers.nlink]!;
  into.uid = w[u + StatNumbers.uid]!;
  into.gid = w[u + StatNumbers.gid]!;
  into.blksize = w[u + StatNumbers.blksize]!;
}

/* A path as the kernel has got it, for an error: a lone surrogate, and bytes that are not UTF-8, become U+FFFD. */
function seen(path: string | Uint8Array): string {
  return Buffer.from(path as string).toString();
}

/* One stat or lstat of a path. */
class StatOp extends Op implements StatTarget {
  readonly path: string | Uint8Array;
  readonly flags: number;
  sent = -1;
  readonly resolve: (stats: never) => void;
  readonly fail: (error: Error) => void;

  constructor(
    path: string | Uint8Array,
    flags: number,
    resolve: (stats: never) => void,
    reject: (error: Error) => void,
  ) {
    super();
    this.path = path;
    this.flags = flags;
    this.resolve = resolve;
    this.fail = reject;
  }

  override submit(): boolean {
    engine.addStat(this);
    return true;
  }

  override complete(low: number, high: number): void {
    if (isError(low, high)) this.fail(new SyscallError(low | 0, this.name, { path: seen(this.path) }));
    else if (this.flags & StatFlag.integers) {
      this.resolve(
        bigintStats(
          engine.slots.statIntegers(this.slot),
          (this.slot & Wire.slotPlaceMask) * StatResult.sizeInDoubles,
        ) as never,
      );
    } else this.resolve(readNumbers(this.slot) as never);
  }

  override reject(error: Error): void {
    this.fail(error);
  }

  override timedOut(): Error {
    return timeoutError(this.name, shownPath(this.path));
  }

  override get quiet(): boolean {
    return true;
  }

  get name(): string {
    return this.flags & StatFlag.noFollow ? 'lstat' : 'stat';
  }
}

/* One fstat: a descriptor instead of a path. */
class FstatOp extends StatOp {
  readonly #fd: number;
  readonly #handle: OpenHandle;

  constructor(
    fd: number,
    handle: OpenHandle,
    flags: number,
    resolve: (stats: never) => void,
    reject: (error: Error) => void,
  ) {
    super('', flags, resolve, reject);
    this.#fd = fd;
    this.#handle = handle;
  }

  override goesAlone(): boolean {
    return true;
  }

  override submit(): boolean {
    const flags = this.flags | (this.referenced ? 0 : StatFlag.unreferenced);
    if (native.submitFstat(this.#fd, this.slot, flags, this.#handle) === 0) return false;
    this.phase = Phase.submitted;
    return true;
  }

  override complete(low: number, high: number): void {
    if (isError(low, high)) this.fail(new SyscallError(low | 0, 'fstat'));
    else super.complete(low, high);
  }

  override timedOut(): Error {
    return timeoutError('fstat');
  }
}

const kOptions = withCommon('bigint');
const kNodesOptions = withCommon('bigint throwIfNoEntry');
let nodeTakesNoEntry: boolean | undefined;

/* Versions of Node differ in whether fs.promises.stat takes `throwIfNoEntry`. Only the text of the function shows it. */
function optionsOfStat(): OptionNames {
  nodeTakesNoEntry ??= `${require('node:fs').promises.stat}`.includes('throwIfNoEntry');
  return nodeTakesNoEntry ? kNodesOptions : kOptions;
}

function flagsOf(options: StatOptions | undefined, flags: number, known = kOptions): number {
  if (options === undefined) return flags;
  checkCommonOptions(options, known);

  const bigint = options.bigint ?? false;
  if (typeof bigint !== 'boolean') throw invalidArgType('options.bigint', 'of type boolean', bigint);
  return bigint ? flags | StatFlag.integers : flags;
}

/* The promise for a result of inlineStat(): the slot of a stat result, or -errno. */
function settledStat(slot: number, flags: number, name: string, path?: string | Uint8Array): Promise<never> {
  if (slot < 0) return Promise.reject(new SyscallError(slot, name, path === undefined ? {} : { path: seen(path) }));
  if (flags & StatFlag.integers) {
    return Promise.resolve(
      bigintStats(engine.slots.statIntegers(slot), (slot & Wire.slotPlaceMask) * StatResult.sizeInDoubles),
    ) as Promise<never>;
  }
  return Promise.resolve(readNumbers(slot)) as Promise<never>;
}

/* A stat without signal and time-out: inline first, before any op is made of it. */
function statNow(path: string | Uint8Array, flags: number): Promise<never> {
  const result = engine.inlineStat(path, flags);
  if (result > kNotNow) return settledStat(result, flags, flags & StatFlag.noFollow ? 'lstat' : 'stat', path);
  return new Promise((resolve, reject) => {
    if (typeof path === 'string' && path.includes('\0')) pathArgument(path); // throws
    engine.start(new StatOp(path, result === kLater ? flags : flags | StatFlag.notInline, resolve, reject));
  });
}

function statPath(
  path: PathLike,
  options: StatOptions | undefined,
  baseFlags: number,
  known?: OptionNames,
): Promise<never> {
  if (options === undefined && typeof path === 'string') return statNow(path, baseFlags);
  return new Promise((resolve, reject) => {
    const argument = ownPath(path);
    const flags = flagsOf(options, baseFlags, known);
    const common = commonOf(options);
    if (common === undefined) {
      resolve(statNow(argument, flags));
      return;
    }
    const op = new StatOp(argument, flags, resolve, reject);
    if (engine.watch(op, common)) engine.start(op);
  });
}

/**
 * stat(2) of a path; symbolic links are followed. The result equals that of `fs.promises.stat` in every field, and an error in
 * `code`, `errno`, `syscall`, `path` and message. It takes `throwIfNoEntry` where `fs.promises.stat` of the running Node does.
 *
 * Rejects with a SyscallError `stat` (ENOENT, EACCES ...), with an AbortError or ETIMEDOUT for `signal` and `timeout`, and with
 * ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE or ERR_OUT_OF_RANGE for wrong arguments.
 *
 * @example
 * const { size } = await stat('/etc/hostname');
 */
export function stat(path: PathLike, options: StatOptions & { bigint: true }): Promise<fs.BigIntStats>;
export function stat(path: PathLike, options?: StatOptions): Promise<fs.Stats>;
export function stat(
  path: PathLike,
  options?: StatOptions & { throwIfNoEntry?: unknown },
): Promise<fs.Stats | fs.BigIntStats> {
  return options === undefined ? statPath(path, undefined, 0) : statAsNode(path, options);
}

async function statAsNode(path: PathLike, options: StatOptions & { throwIfNoEntry?: unknown }): Promise<never> {
  const { throwIfNoEntry } = options ?? {};
  if (throwIfNoEntry === undefined) return statPath(path, options, 0);
  const known = optionsOfStat();
  try {
    return await statPath(path, options, 0, known);
  } catch (error) {
    const isNoEntry = error instanceof SyscallError && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
    if (throwIfNoEntry !== false || !isNoEntry) throw error;
    return undefined as never;
  }
}

/**
 * lstat(2): as {@link stat}, but of a symbolic link itself. Rejects with a SyscallError `lstat`.
 *
 * @example
 * const isLink = (await lstat('/bin')).isSymbolicLink();
 */
export function lstat(path: PathLike, options: StatOptions & { bigint: true }): Promise<fs.BigIntStats>;
export function lstat(path: PathLike, options?: StatOptions): Promise<fs.Stats>;
export function lstat(path: PathLike, options?: StatOptions): Promise<fs.Stats | fs.BigIntStats> {
  return statPath(path, options, StatFlag.noFollow);
}

/**
 * fstat(2): as {@link stat}, but of an open descriptor. Rejects with a SyscallError `fstat` (EBADF).
 *
 * @example
 * const { size } = await fstat(file.fd);
 */
export function fstat(fd: number, options: StatOptions & { bigint: true }): Promise<fs.BigIntStats>;
export function fstat(fd: number, options?: StatOptions): Promise<fs.Stats>;
export function fstat(fd: number, options?: StatOptions): Promise<fs.Stats | fs.BigIntStats> {
  return fstatOf(fd, kNoHandle, options);
}

/** @internal {@link fstat} of a descriptor; `handle` is its handle in the core, or {@link kNoHandle}. */
export function fstatOf(
  fd: number,
  handle: OpenHandle,
  options: StatOptions | undefined,
): Promise<fs.Stats | fs.BigIntStats> {
  if (options === undefined && Number.isInteger(fd) && fd >= 0 && fd <= 0x7fffffff) {
    const result = engine.inlineFstat(fd, 0);
    if (result > kNotNow) return settledStat(result, 0, 'fstat');
  }
  return new Promise((resolve, reject) => {
    checkDescriptor(fd);
    const op = new FstatOp(fd, handle, flagsOf(options, 0), resolve as (stats: never) => void, reject);
    if (engine.watch(op, options, kOptions)) engine.start(op);
  });
}
