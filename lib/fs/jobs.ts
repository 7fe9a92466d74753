/* What helpers over native jobs share: one op for the whole job, columns of stats, flags. */
import type { Stats } from 'node:fs';
import { type CommonOptions, type Engine, engine, Op, timeoutError } from '../engine';
import { type Handle, native } from '../native';
import { NodeStats } from './stats';

/* Flags of native/binding/batch.cc and batch_tree.cc. */
export const kJobNoFollow = 1;
export const kJobStats = 1;
export const kJobOneFileSystem = 2;
export const kJobUnreferenced = 4;
export const kJobNamesOnly = 8;
export const kJobApparentSize = 16;

/** The op of a job: begun by `begin`, its result is 0 or -errno. */
export class JobOp extends Op {
  handle: Handle | undefined;
  readonly #name: string;
  readonly #path: string | undefined;
  readonly #begin: (slot: number, flags: number) => Handle | null;
  readonly #resolve: (errno: number) => void;
  readonly #reject: (error: Error) => void;

  constructor(
    name: string,
    path: string | undefined,
    begin: (slot: number, flags: number) => Handle | null,
    resolve: (errno: number) => void,
    reject: (error: Error) => void,
  ) {
    super();
    this.#name = name;
    this.#path = path;
    this.#begin = begin;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  override submit(to: Engine): boolean {
    const handle = this.#begin(this.slot, this.referenced ? 0 : kJobUnreferenced);
    if (handle === null) return false;
    this.handle = handle;
    to.begun(this);
    return true;
  }

  override complete(low: number, _high: number): void {
    this.#resolve(low | 0);
  }

  override reject(error: Error): void {
    this.#reject(error);
  }

  override timedOut(): Error {
    return timeoutError(this.#name, this.#path);
  }

  override cancel(): void {
    if (this.handle) native.jobCancel(this.handle);
  }
}

/**
 * Runs one job op to its end: 0 or -errno. `begun` is called as soon as there is a handle, which may be later when too much
 * is in flight.
 */
export function runJob(
  name: string,
  path: string | undefined,
  options: CommonOptions | undefined,
  begin: (slot: number, flags: number) => Handle | null,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const op = new JobOp(name, path, begin, resolve, reject);
    if (engine.watch(op, options)) engine.start(op);
  });
}

/** Columns of stats as native/core/batch_columns.h lays them out, `rows` long. */
export class Columns {
  readonly size: Float64Array;
  readonly blocks: Float64Array;
  readonly atimeMs: Float64Array;
  readonly mtimeMs: Float64Array;
  readonly ctimeMs: Float64Array;
  readonly birthtimeMs: Float64Array;
  readonly ino: BigUint64Array;
  readonly dev: BigUint64Array;
  readonly rdev: BigUint64Array;
  readonly error: Int32Array;
  readonly mode: Uint32Array;
  readonly nlink: Uint32Array;
  readonly uid: Uint32Array;
  readonly gid: Uint32Array;
  readonly blksize: Uint32Array;

  constructor(buffer: ArrayBuffer, rows: number) {
    const wide = (place: number): [ArrayBuffer, number, number] => [buffer, 8 * rows * place, rows];
    const narrow = (place: number): [ArrayBuffer, number, number] => [buffer, 8 * rows * 9 + 4 * rows * place, rows];
    this.size = new Float64Array(...wide(0));
    this.blocks = new Float64Array(...wide(1));
    this.atimeMs = new Float64Array(...wide(2));
    this.mtimeMs = new Float64Array(...wide(3));
    this.ctimeMs = new Float64Array(...wide(4));
    this.birthtimeMs = new Float64Array(...wide(5));
    this.ino = new BigUint64Array(...wide(6));
    this.dev = new BigUint64Array(...wide(7));
    this.rdev = new BigUint64Array(...wide(8));
    this.error = new Int32Array(...narrow(0));
    this.mode = new Uint32Array(...narrow(1));
    this.nlink = new Uint32Array(...narrow(2));
    this.uid = new Uint32Array(...narrow(3));
    this.gid = new Uint32Array(...narrow(4));
    this.blksize = new Uint32Array(...narrow(5));
  }

  /** The Stats of one row whose error is 0. */
  statsAt(i: number): Stats {
    return new NodeStats(
      Number(this.dev[i]), this.mode[i]!, this.nlink[i]!, this.uid[i]!, this.gid[i]!, Number(this.rdev[i]), this.blksize[i]!,
      Number(this.ino[i]), this.size[i]!, this.blocks[i]!, this.atimeMs[i]!, this.mtimeMs[i]!, this.ctimeMs[i]!,
      this.birthtimeMs[i]!,
    ); // prettier-ignore
  }
}
