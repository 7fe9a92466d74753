/* readFiles(): very many whole files, as an ordered array or as they come. */

import { invalidArgType, SyscallError } from '../../errors';
import type { CommonOptions } from '../../promise/options';
import { isTurnOver } from '../../promise/turn-clock';
import type { PathLike } from '../paths';
import { FilesReader, type Wanted } from './files-reader';
import { openFlags } from './open-flags';
import { readOptions } from './read-file';

/** Options of {@link readFiles}. A string is the encoding. `timeout` is for the whole reading and counts from its begin. */
export interface ReadFilesOptions extends CommonOptions {
  /** The results are text in this encoding, not Buffers. */
  encoding?: BufferEncoding | null | undefined;
  /** The flags to open the files with, as in `fs.open`; 'r' by default. */
  flag?: string | number | undefined;
}

/** One file as it comes. It has either `data` or `error`. */
export interface ReadFilesEntry<Data extends string | Buffer = Buffer> {
  /** Index of the path among the paths. */
  readonly index: number;
  /** The path as it was given. */
  readonly path: PathLike;
  /** The content: a Buffer, or text with `encoding`. */
  readonly data?: Data;
  /** The error that node:fs would give for this file; EFBIG for a file of more than 2 GiB. */
  readonly error?: SyscallError;
}

function entryOf<Data extends string | Buffer>(
  index: number,
  path: PathLike,
  value: Data | SyscallError,
): ReadFilesEntry<Data> {
  return value instanceof SyscallError ? { index, path, error: value } : { index, path, data: value };
}

async function* batchesOf<Data extends string | Buffer>(
  reader: FilesReader<Data>,
  take: () => ReadFilesEntry<Data>[],
): AsyncIterableIterator<ReadFilesEntry<Data>[]> {
  try {
    while (await reader.next()) yield take();
  } finally {
    reader.close();
  }
}

/**
 * The result of {@link readFiles}. `await` it for an array in the order of the paths, or iterate over it for files as they come.
 * Each iteration reads the files anew. While nobody takes files the reading pauses, with some 16 MiB in memory. Leaving the
 * loop ends the reading.
 */
export class ReadFiles<Data extends string | Buffer = Buffer>
  implements PromiseLike<(Data | SyscallError)[]>, AsyncIterable<ReadFilesEntry<Data>>
{
  readonly #wanted: Wanted;
  #promise: Promise<(Data | SyscallError)[]> | undefined;

  /** @internal */
  constructor(wanted: Wanted) {
    this.#wanted = wanted;
  }

  async #collect(): Promise<(Data | SyscallError)[]> {
    const { paths } = this.#wanted;
    const all: (Data | SyscallError)[] = Array.isArray(paths) ? new Array(paths.length) : [];
    const reader = new FilesReader<Data>(this.#wanted, (index, _path, value) => {
      all[index] = value;
    });
    while (await reader.next());
    return all;
  }

  /** As Promise.then(): begins the reading when it is called for the first time. */
  // biome-ignore lint/suspicious/noThenProperty: it is meant to be awaited
  then<A = (Data | SyscallError)[], B = never>(
    onFulfilled?: ((value: (Data | SyscallError)[]) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#promise ??= this.#collect();
    return this.#promise.then(onFulfilled, onRejected);
  }

  /** As Promise.catch(). */
  catch<B = never>(
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<(Data | SyscallError)[] | B> {
    return this.then(undefined, onRejected);
  }

  /** As Promise.finally(). */
  finally(onFinally?: (() => void) | null): Promise<(Data | SyscallError)[]> {
    return this.then().finally(onFinally);
  }

  /** Iterates over arrays of files as they come, some hundred files in each, which costs less for each file. */
  batches(): AsyncIterableIterator<ReadFilesEntry<Data>[]> {
    let batch: ReadFilesEntry<Data>[] = [];
    // Made here, and not by the first next(): the time-out begins now, and an iterable that throws does so now.
    const reader = new FilesReader<Data>(this.#wanted, (index, path, value) => {
      batch.push(entryOf(index, path, value));
    });
    return batchesOf(reader, () => {
      const taken = batch;
      batch = [];
      return taken;
    });
  }

  /** Iterates over the files as they come. */
  async *[Symbol.asyncIterator](): AsyncIterableIterator<ReadFilesEntry<Data>> {
    let batch: ReadFilesEntry<Data>[] = [];
    const reader = new FilesReader<Data>(this.#wanted, (index, path, value) => {
      batch.push(entryOf(index, path, value));
    });
    try {
      while (await reader.next()) {
        const entries = batch;
        batch = [];
        for (const entry of entries) {
          if (isTurnOver()) await reader.shareTurn();
          yield entry;
        }
      }
    } finally {
      reader.close();
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
 * Buffers of small files share a piece of 64 KiB of memory with their neighbours (docs/memory.md). Keep a copy
 * (`Buffer.from(data)`) where a few files of very many are kept for long.
 *
 * @param paths an array of paths, which is copied; or any other iterable of paths, which are taken as they are needed
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE for wrong arguments
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
  // A copy, because the caller may change the array while the files are read.
  const own = Array.isArray(paths) ? paths.slice() : paths;
  return new ReadFiles<Buffer>({ paths: own, flags: openFlags(flag), encoding, common });
}
