/* Stat results as columns (WideColumn and NarrowColumn of native/core/wire.h): typed arrays, or one Stats at a time. */
import type { Stats } from 'node:fs';
import { NarrowColumn, WideColumn } from '../../generated/wire';
import { hasNanoseconds, NodeStats, setNanoseconds } from './stats';

const kWideBytes = 8;
const kNarrowBytes = 4;
const kWideWords = 2;

/** A block of columns with room for `rows` results: first the wide columns, then the narrow ones. */
export class Columns {
  readonly #buffer: ArrayBuffer;
  readonly #rows: number;
  readonly #length: number;

  /** `length` is the number of rows that hold a result. */
  constructor(buffer: ArrayBuffer, rows: number, length: number) {
    this.#buffer = buffer;
    this.#rows = rows;
    this.#length = length;
  }

  get rows(): number {
    return this.#rows;
  }

  /** A wide column of doubles. */
  f64(column: WideColumn): Float64Array {
    return new Float64Array(this.#buffer, this.#wideAt(column), this.#length);
  }
  /** A wide column of 64-bit integers. */
  u64(column: WideColumn): BigUint64Array {
    return new BigUint64Array(this.#buffer, this.#wideAt(column), this.#length);
  }
  /** A narrow column. */
  u32(column: NarrowColumn): Uint32Array {
    return new Uint32Array(this.#buffer, this.#narrowAt(column), this.#length);
  }
  /** The wide columns, one behind the other. */
  doubles(): Float64Array {
    return new Float64Array(this.#buffer, 0, WideColumn.count * this.#rows);
  }
  /** The whole block in words of 4 bytes; of 8 bytes the lower half comes first. */
  words(): Uint32Array {
    return new Uint32Array(this.#buffer, 0, (kWideWords * WideColumn.count + NarrowColumn.count) * this.#rows);
  }
  /** The column of errors: 0 or -errno. */
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

/** Makes one Stats at a time from the columns of a page. */
export class StatRows {
  readonly #columns: Columns;
  #doubles: Float64Array | undefined;
  #words: Uint32Array | undefined;

  constructor(columns: Columns) {
    this.#columns = columns;
  }

  /** 0 or -errno of a row. */
  error(row: number): number {
    this.#words ??= this.#columns.words();
    const { rows } = this.#columns;
    return this.#words[(kWideWords * WideColumn.count + NarrowColumn.error) * rows + row]! | 0;
  }

  /** The Stats of a row, read straight from the block: a typed array for each column would cost more than a row. */
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
