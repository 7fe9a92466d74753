/* PathFeeder: passes the paths of readFiles() to its job, some thousand ahead of the reading. */
import { invalidArgValue, SyscallError } from '../../errors';
import { Errno, Wire } from '../../generated/wire';
import { native, type ReadFilesHandle } from '../../native';
import { joinPaths } from '../../promise/joined-paths';
import { now } from '../../timers';
import { type PathLike, pathArgument } from '../paths';

const kPiece = 256; // paths in one native call
const kEnoughAhead = 8192; // paths in the job that no thread has begun to read
const kFeedMs = 2; // of work, and then the reader looks whether the event loop should turn

/** Passes paths to the job, and remembers the path of each file that has not been taken yet. */
export class PathFeeder {
  readonly #source: Iterator<PathLike>;
  /* The paths by index: the array itself, or for any other iterable those whose files are still to come. */
  readonly #paths: readonly PathLike[] | undefined;
  readonly #inWork = new Map<number, PathLike>();
  #given = 0;
  done = false;

  constructor(paths: Iterable<PathLike>) {
    this.#paths = Array.isArray(paths) ? paths : undefined;
    this.#source = paths[Symbol.iterator]();
  }

  /** The path of a file that has been read. Call it once for each file. */
  take(index: number): PathLike {
    if (this.#paths !== undefined) return this.#paths[index]!;
    const path = this.#inWork.get(index)!;
    this.#inWork.delete(index);
    return path;
  }

  /** Passes paths to the job until enough lie ahead. `unclaimed` is the number of paths that no thread has begun to read. */
  feed(job: ReadFilesHandle, unclaimed: number): void {
    let ahead = unclaimed;
    const until = now() + kFeedMs;
    while (!this.done && ahead < kEnoughAhead && (ahead === unclaimed || now() < until)) {
      const piece = this.#next();
      if (piece.length > 0) {
        const status = this.#hand(job, piece);
        if (status === Wire.hasNul) throw nulIn(piece);
        if (status !== 0 && status !== -Errno.ECANCELED)
          throw new SyscallError(status === -Errno.EAGAIN ? -Errno.ENOMEM : status, 'read');
      }
      this.#given += piece.length;
      ahead += piece.length;
      if (this.done) native.readFilesFinish(job);
    }
  }

  #next(): PathLike[] {
    if (this.#paths !== undefined) {
      const piece = this.#paths.slice(this.#given, this.#given + kPiece);
      this.done = this.#given + piece.length >= this.#paths.length;
      return piece;
    }
    const piece: PathLike[] = [];
    while (piece.length < kPiece) {
      const { value, done } = this.#source.next();
      if (done) {
        this.done = true;
        break;
      }
      this.#inWork.set(this.#given + piece.length, value);
      piece.push(value);
    }
    return piece;
  }

  #hand(job: ReadFilesHandle, piece: readonly PathLike[]): number {
    const isText = piece.every((path) => typeof path === 'string');
    const paths = isText ? (piece as readonly string[]) : piece.map((path) => pathArgument(path, 'paths'));
    return native.readFilesAdd(job, joinPaths(paths), piece.length);
  }

  /** Ends the caller's iterator, unless it has ended. */
  close(): void {
    if (this.done || this.#paths !== undefined) return;
    this.done = true;
    this.#source.return?.();
  }
}

function nulIn(paths: readonly PathLike[]): TypeError {
  const path = paths.find((text) => typeof text === 'string' && text.includes('\0'));
  return invalidArgValue('paths', 'must hold strings, Uint8Arrays, or URLs without null bytes', path);
}
