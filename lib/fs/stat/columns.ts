/* Stat results as columns: WideColumn and NarrowColumn of native/core/wire.h, read as typed arrays or one Stats at a time. */
import type { Stats } from 'node:fs';
import { NarrowColumn, WideColumn } from '../../generated/wire';
import { hasNanoseconds, NodeStats, setNanoseconds } from './stats';

const kWideBytes = 8;
const kNarrowBytes = 4;
const kWideWords = 2;

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

  /** A column of numbers. */
  f64(column: WideColumn): Float64Array {
    return new Float64Array(this.#buffer, this.#wideAt(column), this.#length);
  }
  /** A column of integers. */
  u64(column: WideColumn): BigUint64Array {
    return new BigUint64Array(this.#buffer, this.#wideAt(column), this.#length);
  }
  u32(column: NarrowColumn): Uint32Array {
    return new Uint32Array(this.#buffer, this.#narrowAt(column), this.#length);
  }
  /** The wide columns, one behind the other. */
  doubles(): Float64Array {
    return new Float64Array(this.#buffer, 0, WideColumn.count * this.#rows);
  }
  /** All of it, in words of 4 bytes, the lower half of a wider one first. */
  words(): Uint32Array {
    return new Uint32Array(this.#buffer, 0, (kWideWords * WideColumn.count + NarrowColumn.count) * this.#rows);
  }
  /** 0 or -errno. */
  errors(): Int32Array {
    return new Int32Array(this.#buffer, this.#narrowAt(NarrowColumn.error), this.#length);
  }

  #wideAt(column: number): number {
    return kWideBytes * this.#rows * column;
  }
  #narrowAt(column: number): number {
    return this.#wideAt(WideColumn.count) + kNarrowBytes * this.#rows * column;
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
    const { rows } = this.#columns;
    return this.#words[(kWideWords * WideColumn.count + NarrowColumn.error) * rows + row]! | 0;
  }

  /* Read where they lie: a page of a large folder is gone through row by row. */
  stats(row: number): Stats {
    this.#doubles ??= this.#columns.doubles();
    this.#words ??= this.#columns.words();
    const d = this.#doubles;
    const w = this.#words;
    const rows = this.#columns.rows;
    const u = kWideWords * WideColumn.count * rows + row; // in the first narrow column
    const stats = new NodeStats(
      wide(w, WideColumn.dev * rows + row),
      w[u + NarrowColumn.mode * rows]!,
      w[u + NarrowColumn.nlink * rows]!,
      w[u + NarrowColumn.uid * rows]!,
      w[u + NarrowColumn.gid * rows]!,
      wide(w, WideColumn.rdev * rows + row),
      w[u + NarrowColumn.blksize * rows]!,
      wide(w, WideColumn.ino * rows + row),
      d[row + WideColumn.size * rows]!,
      d[row + WideColumn.blocks * rows]!,
      d[row + WideColumn.atimeMs * rows]!,
      d[row + WideColumn.mtimeMs * rows]!,
      d[row + WideColumn.ctimeMs * rows]!,
      d[row + WideColumn.birthtimeMs * rows]!,
    );
    if (!hasNanoseconds) return stats;
    const [atime, mtime] = [w[u + NarrowColumn.atimeNsec * rows]!, w[u + NarrowColumn.mtimeNsec * rows]!];
    const [ctime, birthtime] = [w[u + NarrowColumn.ctimeNsec * rows]!, w[u + NarrowColumn.birthtimeNsec * rows]!];
    return setNanoseconds(stats, atime, mtime, ctime, birthtime);
  }
}

function wide(words: Uint32Array, index: number): number {
  const low = kWideWords * index;
  return words[low + 1]! * 2 ** 32 + words[low]!;
}
