/* PathFeeder: passes the paths of statMany() and readFiles() to their job. */
import { invalidArgValue } from '../errors';
import { Wire } from '../generated/wire';
import { joinPaths } from '../promise/joined-paths';
import { isTurnOver } from '../promise/turn-clock';
import { type PathLike, pathArgument } from './paths';

/** Paths in one native call; the threads begin with them while the next ones are joined. */
export const kPiece = 512;

/** Passes paths to a job, and remembers the path of each file that has not been taken yet. */
export class PathFeeder {
  readonly #source: Iterator<PathLike>;
  /* The paths by index: the array itself, or for any other iterable those whose files are still to come. */
  readonly #paths: readonly PathLike[] | undefined;
  readonly #inWork = new Map<number, PathLike>();
  #given = 0;
  #isAtEnd = false;

  constructor(paths: Iterable<PathLike>) {
    this.#paths = Array.isArray(paths) ? paths : undefined;
    this.#source = paths[Symbol.iterator]();
  }

  /** Whether the job has all paths. */
  get done(): boolean {
    return this.#paths === undefined ? this.#isAtEnd : this.#given >= this.#paths.length;
  }

  /** The path of a file that has been read. Call it once for each file. */
  take(index: number): PathLike {
    if (this.#paths !== undefined) return this.#paths[index]!;
    const path = this.#inWork.get(index)!;
    this.#inWork.delete(index);
    return path;
  }

  /**
   * Calls `add` with joined paths, at least once, until it has taken `wanted` of them or the event loop should turn. `add`
   * returns 0 when it has taken the paths; with any other status it has taken none. Returns the last status. After -EAGAIN
   * the paths of an array can be fed again.
   *
   * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE for a wrong path; and what the iterator throws
   */
  feed(add: (joined: string | Uint8Array, count: number) => number, wanted = Number.POSITIVE_INFINITY): number {
    for (let left = wanted, isFirst = true; left > 0 && !this.done; left -= kPiece, isFirst = false) {
      if (!isFirst && isTurnOver()) break;
      const piece = this.#next();
      if (piece.length === 0) break;
      const status = add(joined(piece), piece.length);
      if (status === Wire.hasNul) throw nulIn(piece);
      if (status !== 0) return status;
      this.#given += piece.length;
    }
    return 0;
  }

  #next(): PathLike[] {
    if (this.#paths !== undefined) return this.#paths.slice(this.#given, this.#given + kPiece);
    const piece: PathLike[] = [];
    while (piece.length < kPiece) {
      const { value, done } = this.#source.next();
      if (done) {
        this.#isAtEnd = true;
        break;
      }
      this.#inWork.set(this.#given + piece.length, value);
      piece.push(value);
    }
    return piece;
  }

  /** Ends the caller's iterator, unless it has ended. */
  close(): void {
    if (this.#paths !== undefined || this.#isAtEnd) return;
    this.#isAtEnd = true;
    this.#source.return?.();
  }
}

/* Where all paths are text, the addon finds a NUL. */
function joined(piece: readonly PathLike[]): string | Uint8Array {
  const isText = piece.every((path) => typeof path === 'string');
  return joinPaths(isText ? (piece as readonly string[]) : piece.map((path) => pathArgument(path, 'paths')));
}

/** The error for a list of paths with a NUL in one of them. */
export function nulIn(paths: readonly PathLike[]): TypeError {
  return invalidArgValue('paths', 'must hold strings, Uint8Arrays, or URLs without null bytes', paths.find(hasNul));
}

/** Whether a path is text with a NUL. Bytes have been checked before. */
export const hasNul = (path: PathLike): boolean => typeof path === 'string' && path.includes('\0');
