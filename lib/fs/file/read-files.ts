/* readFiles: whole files, very many of them, as an ordered array or as they come. */

import { onAbortOf } from '../../abort';
import { Steps } from '../../call/steps';
import { invalidArgType, invalidArgValue, SyscallError } from '../../errors';
import { Errno, FileCall, JobOption, ReadHeader, ReadRecord, Wire } from '../../generated/wire';
import { type Handle, native } from '../../native';
import { engine } from '../../promise/engine';
import { joinPaths } from '../../promise/joined-paths';
import { Op, Phase } from '../../promise/op';
import type { CommonOptions } from '../../promise/options';
import { isTurnOver, nextTurn, Pace } from '../../promise/turn-clock';
import { now } from '../../timers';
import { type PathLike, pathArgument, shownPath } from '../paths';
import { fileCallNames } from './file-op';
import { openFlags } from './open-flags';
import { readOptions } from './read-file';

/** Options of {@link readFiles}; a string is the encoding. `timeout` is for the whole, from the first file asked for. */
export interface ReadFilesOptions extends CommonOptions {
  /** Text in this encoding instead of Buffers. */
  encoding?: BufferEncoding | null | undefined;
  /** How to open the files, as in `fs.open`; 'r' by default. */
  flag?: string | number | undefined;
}

/** One file as it comes. Exactly one of `data` and `error` is there. */
export interface ReadFilesEntry<Data extends string | Buffer = Buffer> {
  /** Place of the path among the paths. */
  readonly index: number;
  /** The path as it was given. */
  readonly path: PathLike;
  readonly data?: Data;
  /** What node:fs would say of this file; EFBIG for one of more than 2 GiB. */
  readonly error?: SyscallError;
}

const kPiece = 256; // paths handed down at once
const kEnoughAhead = 8192; // of them that nobody has begun to read
const kPageMs = 2; // of work between two looks at whether the loop should turn

/** Ends when something can be taken. */
class WaitOp extends Op {
  readonly #job: Handle;
  readonly #steps: Steps;
  readonly #resolve: () => void;
  readonly #reject: (error: Error) => void;

  constructor(job: Handle, steps: Steps, resolve: () => void, reject: (error: Error) => void) {
    super();
    this.#job = job;
    this.#steps = steps;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  override submit(): boolean {
    if (native.readFilesWait(this.#job, this.slot, this.referenced ? 0 : JobOption.unreferenced) !== 0) return false;
    this.phase = Phase.submitted;
    return true;
  }

  override complete(): void {
    this.#resolve();
  }

  override reject(error: Error): void {
    this.#reject(error);
  }

  override cancel(): boolean {
    native.jobCancel(this.#job);
    return true;
  }

  override timedOut(): Error {
    return this.#steps.timedOut();
  }
}

/** Hands the paths down, ahead of the reading but not by much, and remembers those that are in work. */
class Feeder {
  readonly #source: Iterator<PathLike>;
  /* By index. Of an array all are kept, since they are there anyway; of anything else, those whose files are still to come. */
  readonly #paths: readonly PathLike[] | undefined;
  readonly #inWork = new Map<number, PathLike>();
  #given = 0;
  done = false;

  constructor(paths: Iterable<PathLike>) {
    this.#paths = Array.isArray(paths) ? paths : undefined;
    this.#source = paths[Symbol.iterator]();
  }

  /** The path of a file that has come, once. */
  take(index: number): PathLike {
    if (this.#paths !== undefined) return this.#paths[index]!;
    const path = this.#inWork.get(index)!;
    this.#inWork.delete(index);
    return path;
  }

  /** Hands pieces down until enough lies ahead. */
  feed(job: Handle, unclaimed: number): void {
    let ahead = unclaimed;
    const until = now() + kPageMs;
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

  #hand(job: Handle, piece: readonly PathLike[]): number {
    const paths = piece.map((path) => (typeof path === 'string' ? path : pathArgument(path, 'paths')));
    return native.readFilesAdd(job, joinPaths(paths), piece.length);
  }

  /** Ends an iterator that is not at its end. */
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

/** Takes one file over. */
type Sink<Data> = (index: number, path: PathLike, value: Data | SyscallError) => void;

/** One reading of all the files. `next()` must not be called again before it has settled. */
class FilesReader<Data extends string | Buffer> {
  readonly #feeder: Feeder;
  readonly #flags: number;
  readonly #encoding: BufferEncoding | undefined;
  readonly #steps: Steps;
  readonly #words = new Uint32Array(ReadHeader.sizeInWords + Wire.maxReadRecords * ReadRecord.sizeInWords);
  #job: Handle | undefined;
  #ended = false;
  #forgetSignal: (() => void) | undefined;

  constructor(
    paths: Iterable<PathLike>,
    flags: number,
    encoding: BufferEncoding | undefined,
    common: CommonOptions | undefined,
  ) {
    this.#feeder = new Feeder(paths);
    this.#flags = flags;
    this.#encoding = encoding;
    this.#steps = new Steps(common, 'open');
  }

  /** Gives what is ready to `sink`, some at least; false at the end. Rejects on abort, time-out and for a bad path. */
  async next(sink: Sink<Data>): Promise<boolean> {
    if (this.#ended) return false;
    try {
      if (isTurnOver()) await nextTurn();
      this.#steps.next();
      if (this.#job === undefined && this.#steps.signal !== undefined) {
        await null; // aborted in its tick: never runs
        this.#steps.next();
      }
      const job = (this.#job ??= this.#begin());
      const until = now() + kPageMs;
      for (let some = false; ; ) {
        const bytes = native.readFilesTake(job, this.#words);
        const count = this.#words[ReadHeader.count]!;
        const ended = this.#words[ReadHeader.ended]!;
        const result = this.#words[ReadHeader.result]! | 0;
        this.#feeder.feed(job, this.#words[ReadHeader.unclaimed]!);
        if (count > 0) {
          this.#give(bytes, count, sink);
          some = true;
          if (now() < until) continue;
          return true;
        }
        if (some) return true;
        if (ended !== 0) {
          this.close();
          if (result !== 0) throw this.#failure(result);
          return false;
        }
        await this.#wait(job);
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Lets the loop turn. Rejects when the reading has been aborted, or its time is over. */
  async shareTurn(): Promise<void> {
    await nextTurn();
    if (!this.#ended) this.#steps.next();
  }

  /** Ends the reading: what runs is interrupted, descriptors are closed, memory is let go. */
  close(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#forgetSignal?.();
    if (this.#job !== undefined) native.jobCancel(this.#job);
    this.#feeder.close();
  }

  /** @internal */
  abort(): void {
    if (this.#job !== undefined) native.jobCancel(this.#job);
  }

  #begin(): Handle {
    const job = native.readFilesMake(this.#flags);
    if (job === null) throw new SyscallError(-Errno.ENOMEM, 'open');
    const { signal } = this.#steps;
    if (signal !== undefined) {
      // An abort ends the helpers although nobody waits just now; the next next() rejects. The signal keeps no reading alive.
      this.#forgetSignal = onAbortOf(signal, this, (reader) => reader.abort());
    }
    return job;
  }

  #give(bytes: ArrayBuffer | null, count: number, sink: Sink<Data>): void {
    const words = this.#words;
    const encoding = this.#encoding;
    const whole = encoding === undefined || bytes === null ? undefined : Buffer.from(bytes);
    for (let i = 0, at = ReadHeader.sizeInWords as number; i < count; i++, at += ReadRecord.sizeInWords) {
      const index = words[at + ReadRecord.index]!;
      const status = words[at + ReadRecord.status]! | 0;
      const path = this.#feeder.take(index);
      let value: Buffer | string | SyscallError;
      if (status > 0) {
        const offset = words[at + ReadRecord.offset]!;
        value =
          encoding === undefined
            ? Buffer.from(bytes!, offset, status)
            : whole!.toString(encoding, offset, offset + status);
      } else if (status === 0) {
        value = encoding === undefined ? Buffer.alloc(0) : '';
      } else {
        value = errorOf(status, words[at + ReadRecord.call]!, path);
      }
      sink(index, path, value as Data | SyscallError);
    }
  }

  #wait(job: Handle): Promise<void> {
    return new Promise((resolve, reject) => {
      const op = new WaitOp(job, this.#steps, resolve, reject);
      if (engine.watch(op, this.#steps.next())) engine.start(op);
    });
  }

  #failure(result: number): Error {
    if (result === -Errno.ECANCELED) this.#steps.next(); // throws the AbortError, if it was that
    return new SyscallError(result, 'read');
  }
}

function errorOf(errno: number, call: FileCall, path: PathLike): SyscallError {
  const name = fileCallNames[call];
  if (call !== FileCall.open && errno !== -Errno.EFBIG) return new SyscallError(errno, name);
  return new SyscallError(errno, name, { path: shownPath(pathArgument(path)) });
}

async function* batchesOf<Data extends string | Buffer>(
  reader: FilesReader<Data>,
): AsyncIterableIterator<ReadFilesEntry<Data>[]> {
  try {
    for (;;) {
      const batch: ReadFilesEntry<Data>[] = [];
      const more = await reader.next((index, path, value) => {
        batch.push(value instanceof SyscallError ? { index, path, error: value } : { index, path, data: value });
      });
      if (!more) return;
      yield batch;
    }
  } finally {
    reader.close();
  }
}

/**
 * Files that are to be read. `await` it for an array in the order of the paths, or iterate over it for files as they come.
 * Each iteration reads the files anew. While nobody takes files the reading pauses, with some 16 MiB in memory. Leaving the
 * loop ends the reading.
 */
export class ReadFiles<Data extends string | Buffer = Buffer>
  implements PromiseLike<(Data | SyscallError)[]>, AsyncIterable<ReadFilesEntry<Data>>
{
  readonly #paths: Iterable<PathLike>;
  readonly #flags: number;
  readonly #encoding: BufferEncoding | undefined;
  readonly #common: CommonOptions | undefined;
  #promise: Promise<(Data | SyscallError)[]> | undefined;

  /** @internal */
  constructor(
    paths: Iterable<PathLike>,
    flags: number,
    encoding: BufferEncoding | undefined,
    common: CommonOptions | undefined,
  ) {
    this.#paths = paths;
    this.#flags = flags;
    this.#encoding = encoding;
    this.#common = common;
  }

  #reader(): FilesReader<Data> {
    return new FilesReader(this.#paths, this.#flags, this.#encoding, this.#common);
  }

  async #collect(): Promise<(Data | SyscallError)[]> {
    const all: (Data | SyscallError)[] = Array.isArray(this.#paths) ? new Array(this.#paths.length) : [];
    const sink: Sink<Data> = (index, _path, value) => {
      all[index] = value;
    };
    const reader = this.#reader();
    while (await reader.next(sink));
    return all;
  }

  // biome-ignore lint/suspicious/noThenProperty: it is meant to be awaited
  then<A = (Data | SyscallError)[], B = never>(
    onFulfilled?: ((value: (Data | SyscallError)[]) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#promise ??= this.#collect();
    return this.#promise.then(onFulfilled, onRejected);
  }

  catch<B = never>(
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<(Data | SyscallError)[] | B> {
    return this.then(undefined, onRejected);
  }

  finally(onFinally?: (() => void) | null): Promise<(Data | SyscallError)[]> {
    return this.then().finally(onFinally);
  }

  /** Files as they come, some hundred at a time, which is less work for each. */
  batches(): AsyncIterableIterator<ReadFilesEntry<Data>[]> {
    return batchesOf(this.#reader());
  }

  /** Files as they come. */
  async *[Symbol.asyncIterator](): AsyncIterableIterator<ReadFilesEntry<Data>> {
    const pace = new Pace();
    const reader = this.#reader();
    for await (const batch of batchesOf(reader)) {
      for (const entry of batch) {
        if (pace.isTurnOver()) await reader.shareTurn();
        yield entry;
      }
    }
  }
}

/**
 * Reads very many whole files: as an array in the order of the paths, or as they come.
 *
 * A file that cannot be read is a {@link SyscallError} in its place and does not reject the promise. The promise rejects with
 * an AbortError or ETIMEDOUT for `signal` and `timeout`, and with ERR_INVALID_ARG_TYPE or ERR_INVALID_ARG_VALUE for an invalid
 * path.
 *
 * Buffers of files below 16 KiB share memory with up to 64 KiB of their neighbours: keep a copy (`Buffer.from(data)`) where
 * few of very many are kept for long.
 *
 * @param paths an array of paths, or an iterable of paths, which are then taken as they are needed
 * @example
 * const [first, second] = await readFiles(['a.txt', 'b.txt'], 'utf8');
 * @example
 * for await (const { path, data, error } of readFiles(paths)) {
 *   if (error) console.error(error.message);
 *   else console.log(path, data.length);
 * }
 */
export function readFiles(
  paths: Iterable<PathLike>,
  options: BufferEncoding | (ReadFilesOptions & { encoding: BufferEncoding }),
): ReadFiles<string>;
export function readFiles(
  paths: Iterable<PathLike>,
  options?: (ReadFilesOptions & { encoding?: null | undefined }) | null,
): ReadFiles<Buffer>;
export function readFiles(
  paths: Iterable<PathLike>,
  options?: BufferEncoding | ReadFilesOptions | null,
): ReadFiles<string> | ReadFiles<Buffer> {
  if (typeof paths !== 'object' || paths === null || typeof paths[Symbol.iterator] !== 'function') {
    throw invalidArgType('paths', 'an instance of Array or Iterable', paths);
  }
  const { encoding, flag, common } = readOptions(options);
  // The caller may change his array while ours goes down.
  const own = Array.isArray(paths) ? paths.slice() : paths;
  return new ReadFiles<Buffer>(own, openFlags(flag), encoding, common);
}
