/* The readdir loop of 2007: async_stat for each entry, one wait_for_async at the end. No registration, no set-up. */
import { type CommonOptions, type Engine, engine, isError, Op, type StatTarget, timeoutError } from '../engine';
import { AbortError, invalidArgType, outOfRange } from '../errors';
import { type PathLike, pathText } from './paths';

const kDoubles = 19; // a result's 152 bytes in 8-byte words: struct StatNumbers in native/core/stat_columns.h
const kWords = 38;
const kInProgress = -115; // -EINPROGRESS

/** Where {@link async_stat} puts its result: the numeric fields of fs.Stats. */
export class StatBuffer {
  /** 0 when the fields are filled, -errno when the call failed, -115 (-EINPROGRESS) while it is in flight. */
  error = 0;
  dev = 0;
  mode = 0;
  nlink = 0;
  uid = 0;
  gid = 0;
  rdev = 0;
  blksize = 0;
  ino = 0;
  size = 0;
  blocks = 0;
  atimeMs = 0;
  mtimeMs = 0;
  ctimeMs = 0;
  birthtimeMs = 0;

  get atime(): Date {
    return new Date(Math.round(this.atimeMs));
  }
  get mtime(): Date {
    return new Date(Math.round(this.mtimeMs));
  }
  get ctime(): Date {
    return new Date(Math.round(this.ctimeMs));
  }
  get birthtime(): Date {
    return new Date(Math.round(this.birthtimeMs));
  }
}

/* What was issued between two waits. */
class Epoch {
  pending = 0;
  #ended: (() => void)[] = [];

  /** Called for each that has come. */
  one(): void {
    if (--this.pending > 0) return;
    const ended = this.#ended;
    this.#ended = [];
    for (const resolve of ended) resolve();
  }
  end(): Promise<void> {
    return new Promise((resolve) => this.#ended.push(resolve));
  }
}

class IntoBuffer extends Op implements StatTarget {
  readonly flags = 0;
  readonly path: string;
  readonly #into: StatBuffer;
  readonly #epoch: Epoch;

  constructor(path: string, into: StatBuffer, epoch: Epoch) {
    super();
    this.path = path;
    this.#into = into;
    this.#epoch = epoch;
  }

  override submit(to: Engine): boolean {
    return to.addStat(this);
  }

  override complete(low: number, high: number): void {
    const into = this.#into;
    if (isError(low, high)) into.error = low | 0;
    else {
      const f = engine.statNumbers(this.slot);
      const w = engine.statWords(this.slot);
      const d = (this.slot & 4095) * kDoubles;
      const u = (this.slot & 4095) * kWords + 18;
      into.dev = f[d]!;
      into.rdev = f[d + 1]!;
      into.ino = f[d + 2]!;
      into.size = f[d + 3]!;
      into.blocks = f[d + 4]!;
      into.atimeMs = f[d + 5]!;
      into.mtimeMs = f[d + 6]!;
      into.ctimeMs = f[d + 7]!;
      into.birthtimeMs = f[d + 8]!;
      into.mode = w[u]!;
      into.nlink = w[u + 1]!;
      into.uid = w[u + 2]!;
      into.gid = w[u + 3]!;
      into.blksize = w[u + 4]!;
      into.error = 0;
    }
    this.#epoch.one();
  }

  override reject(_error: Error): void {
    this.#epoch.one();
  }
  override timedOut(): Error {
    return timeoutError('stat', this.path);
  }
}

/** What {@link asyncScope} gives. */
export interface AsyncScope {
  async_stat(path: PathLike, into: StatBuffer): void;
  wait_for_async(options?: CommonOptions): Promise<void>;
}

/**
 * A pair of its own: `wait_for_async` waits for what this scope has issued, and for nobody else's. Libraries make one; the
 * pair of the root is one scope for each environment, for programs.
 */
export function asyncScope(): AsyncScope {
  let current = new Epoch();
  const unfinished = new Set<Epoch>();
  return {
    async_stat(path, into) {
      const text = pathText(path);
      if (!(into instanceof StatBuffer)) throw invalidArgType('into', 'an instance of StatBuffer', into);
      into.error = kInProgress;
      current.pending++;
      engine.start(new IntoBuffer(text, into, current));
    },
    async wait_for_async(options = {}) {
      if (typeof options !== 'object' || options === null) throw invalidArgType('options', 'of type object', options);
      const { signal, timeout } = options;
      if (signal !== undefined && !(signal instanceof AbortSignal)) throw invalidArgType('options.signal', 'an instance of AbortSignal', signal);
      if (timeout !== undefined && typeof timeout !== 'number') throw invalidArgType('options.timeout', 'of type number', timeout);
      if (timeout !== undefined && !(timeout >= 0)) throw outOfRange('options.timeout', '>= 0', timeout);
      if (current.pending > 0) {
        const epoch = current;
        current = new Epoch();
        unfinished.add(epoch);
        void epoch.end().then(() => unfinished.delete(epoch));
      }
      const all = Promise.all([...unfinished].filter(({ pending }) => pending > 0).map((epoch) => epoch.end()));
      if (signal === undefined && timeout === undefined) {
        await all;
        return;
      }
      if (signal?.aborted) throw new AbortError(signal.reason);
      await new Promise<void>((resolve, reject) => {
        const end = (): void => {
          clearTimeout(timer);
          signal?.removeEventListener('abort', abort);
        };
        const abort = (): void => {
          end();
          reject(new AbortError(signal!.reason));
        };
        const timer =
          timeout === undefined || timeout > 0x7fffffff
            ? undefined
            : setTimeout(() => {
                end();
                reject(timeoutError('wait_for_async'));
              }, timeout);
        signal?.addEventListener('abort', abort);
        void all.then(() => {
          end();
          resolve();
        });
      });
    },
  };
}

const root = asyncScope();

/**
 * stat(2) of a path into a buffer, in a while; nothing is returned. A failure is in `into.error` and rejects nothing.
 *
 * @example
 * const names = await readdir(folder);
 * const entries = names.map(() => new StatBuffer());
 * for (const [i, name] of names.entries()) async_stat(`${folder}/${name}`, entries[i]);
 * await wait_for_async();
 */
export const async_stat = root.async_stat;

/**
 * Resolves when everything that `async_stat` of the same scope was asked for before has come. A time-out or abort ends the
 * wait, not the calls.
 */
export const wait_for_async = root.wait_for_async;
