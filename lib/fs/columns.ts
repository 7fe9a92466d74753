/* Stat results as columns: the layout of native/core/batch_columns.h, read as typed arrays or one Stats at a time. */
import type { Stats } from 'node:fs';
import { hasNanoseconds, NodeStats, setNanoseconds } from './stats';

const kWide = 9; // columns of 8-byte words come first; then those of 4 bytes

/** One block of columns with room for `rows` results. */
export class Columns {
  readonly #buffer: ArrayBuffer;
  readonly #rows: number;
  readonly #length: number;

  /** `length`: how many of the rows hold a result. */
  constructor(buffer: ArrayBuffer, rows: number, length: number) {
    this.#buffer = buffer;
    this.#rows = rows;
    this.#length = length;
  }

  /** Places: 0 size, 1 blocks, 2 atimeMs, 3 mtimeMs, 4 ctimeMs, 5 birthtimeMs. */
  f64(place: number): Float64Array {
    return new Float64Array(this.#buffer, 8 * this.#rows * place, this.#length);
  }
  /** Places: 0 ino, 1 dev, 2 rdev. */
  u64(place: number): BigUint64Array {
    return new BigUint64Array(this.#buffer, 8 * this.#rows * (6 + place), this.#length);
  }
  /** Places: 1 mode, 2 nlink, 3 uid, 4 gid, 5 blksize. */
  u32(place: number): Uint32Array {
    return new Uint32Array(this.#buffer, 8 * this.#rows * kWide + 4 * this.#rows * place, this.#length);
  }
  /** 0 or -errno. */
  errors(): Int32Array {
    return new Int32Array(this.#buffer, 8 * this.#rows * kWide, this.#length);
  }
}

/** The columns of a page of entries, for one Stats at a time. */
export class StatRows {
  readonly #columns: Columns;
  #error: Int32Array | undefined;
  #wide: Float64Array[] = [];
  #ids: BigUint64Array[] = [];
  #words: Uint32Array[] = [];

  constructor(columns: Columns) {
    this.#columns = columns;
  }

  error(row: number): number {
    this.#error ??= this.#columns.errors();
    return this.#error[row]!;
  }

  stats(row: number): Stats {
    if (this.#wide.length === 0) {
      for (let place = 0; place < 6; place++) this.#wide.push(this.#columns.f64(place));
      for (let place = 0; place < 3; place++) this.#ids.push(this.#columns.u64(place));
      for (let place = 0; place < 10; place++) this.#words.push(this.#columns.u32(place));
    }
    const [size, blocks, atime, mtime, ctime, birthtime] = this.#wide.map((column) => column[row]!);
    const [ino, dev, rdev] = this.#ids.map((column) => Number(column[row]!));
    const [, mode, nlink, uid, gid, blksize, atimeNs, mtimeNs, ctimeNs, birthtimeNs] = this.#words.map(
      (column) => column[row]!,
    );
    const stats = new NodeStats(
      dev!,
      mode!,
      nlink!,
      uid!,
      gid!,
      rdev!,
      blksize!,
      ino!,
      size!,
      blocks!,
      atime!,
      mtime!,
      ctime!,
      birthtime!,
    );
    if (!hasNanoseconds) return stats;
    return setNanoseconds(stats, atimeNs!, mtimeNs!, ctimeNs!, birthtimeNs!); // prettier-ignore
  }
}
