/* Stat results as columns: the layout of native/core/batch_columns.h, read as typed arrays or one Stats at a time. */
import type { Stats } from 'node:fs';
import { hasNanoseconds, NodeStats, setNanoseconds } from './stats';

const kWide = 9; // columns of 8-byte words come first; then those of 4 bytes
const kNarrow = 10;

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

  get rows(): number {
    return this.#rows;
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
  /** The first six columns, one behind the other. */
  doubles(): Float64Array {
    return new Float64Array(this.#buffer, 0, 6 * this.#rows);
  }
  /** All of it, in words of 4 bytes, the lower half of a wider one first. */
  words(): Uint32Array {
    return new Uint32Array(this.#buffer, 0, (2 * kWide + kNarrow) * this.#rows);
  }
  /** 0 or -errno. */
  errors(): Int32Array {
    return new Int32Array(this.#buffer, 8 * this.#rows * kWide, this.#length);
  }
}

/** The columns of a page of entries, for one Stats at a time. */
export class StatRows {
  readonly #columns: Columns;
  #doubles: Float64Array | undefined;
  #words: Uint32Array | undefined;

  constructor(columns: Columns) {
    this.#columns = columns;
  }

  error(row: number): number {
    this.#words ??= this.#columns.words();
    return this.#words[2 * kWide * this.#columns.rows + row]! | 0;
  }

  /* Read where they lie: a page of a large folder is gone through row by row. */
  stats(row: number): Stats {
    this.#doubles ??= this.#columns.doubles();
    this.#words ??= this.#columns.words();
    const d = this.#doubles;
    const w = this.#words;
    const rows = this.#columns.rows;
    const ids = 2 * (6 * rows + row); // the low half of ino; dev and rdev stand `2 * rows` words further each
    const u = 2 * kWide * rows + row; // of the columns of 4 bytes, the first
    const stats = new NodeStats(
      wide(w, ids + 2 * rows),
      w[u + rows]!,
      w[u + 2 * rows]!,
      w[u + 3 * rows]!,
      w[u + 4 * rows]!,
      wide(w, ids + 4 * rows),
      w[u + 5 * rows]!,
      wide(w, ids),
      d[row]!,
      d[row + rows]!,
      d[row + 2 * rows]!,
      d[row + 3 * rows]!,
      d[row + 4 * rows]!,
      d[row + 5 * rows]!,
    );
    if (!hasNanoseconds) return stats;
    return setNanoseconds(stats, w[u + 6 * rows]!, w[u + 7 * rows]!, w[u + 8 * rows]!, w[u + 9 * rows]!);
  }
}

function wide(words: Uint32Array, low: number): number {
  return words[low + 1]! * 0x1_0000_0000 + words[low]!;
}
