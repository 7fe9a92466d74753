/*
 * The readdir loop of 2007: one async_stat() for each name, one wait_for_async() at the end. A lookup needs no promise and no
 * registration. A lookup that fails stores a negative number in its buffer.
 */

import type { Stats } from 'node:fs';
import * as fs from 'node:fs';
import { abortError, onAbort } from '../../abort';
import { AbortError, invalidArgType, SyscallError } from '../../errors';
import { Errno } from '../../generated/wire';
import { native } from '../../native';
import { engine } from '../../promise/engine';
import { isError, Op, type StatTarget } from '../../promise/op';
import { type CommonOptions, checkCommonOptions } from '../../promise/options';
import { clearTimeout, kLongestMs, setTimeout } from '../../timers';
import { ownPath, type PathLike, shownPath } from '../paths';
import { statNumbersInto } from './stat';

/**
 * The place for one result of {@link async_stat}. It may be used again after the wait. It has the fields and methods of
 * fs.Stats, in the same units: bytes, and milliseconds since 1970.
 */
export class StatBuffer {
  /** 0, or -errno; -115 (EINPROGRESS) while the lookup is under way, and before the first lookup. */
  error = -Errno.EINPROGRESS;
  /** Device that holds the file. */
  dev = 0;
  /** Type and permissions. */
  mode = 0;
  /** Number of hard links. */
  nlink = 0;
  /** User id of the owner. */
  uid = 0;
  /** Group id. */
  gid = 0;
  /** Device that a device file stands for. */
  rdev = 0;
  /** Preferred size of reads and writes, in bytes. */
  blksize = 0;
  /** Number of the inode. */
  ino = 0;
  /** Size in bytes. */
  size = 0;
  /** Blocks of 512 bytes on disk. */
  blocks = 0;
  /** Time of the last access, in milliseconds since 1970. */
  atimeMs = 0;
  /** Time of the last change of the content, in milliseconds since 1970. */
  mtimeMs = 0;
  /** Time of the last change of the inode, in milliseconds since 1970. */
  ctimeMs = 0;
  /** Time of birth in milliseconds since 1970; 0 where the file system does not know it. */
  birthtimeMs = 0;

  /** `atimeMs` as a Date. */
  get atime(): Date {
    return new Date(Math.round(this.atimeMs));
  }
  /** `mtimeMs` as a Date. */
  get mtime(): Date {
    return new Date(Math.round(this.mtimeMs));
  }
  /** `ctimeMs` as a Date. */
  get ctime(): Date {
    return new Date(Math.round(this.ctimeMs));
  }
  /** `birthtimeMs` as a Date. */
  get birthtime(): Date {
    return new Date(Math.round(this.birthtimeMs));
  }
}
export interface StatBuffer
  extends Pick<
    Stats,
    'isFile' | 'isDirectory' | 'isSymbolicLink' | 'isFIFO' | 'isSocket' | 'isCharacterDevice' | 'isBlockDevice'
  > {}
const kTypes: [keyof StatBuffer, number][] = [
  ['isFile', fs.constants.S_IFREG],
  ['isDirectory', fs.constants.S_IFDIR],
  ['isSymbolicLink', fs.constants.S_IFLNK],
  ['isFIFO', fs.constants.S_IFIFO],
  ['isSocket', fs.constants.S_IFSOCK],
  ['isCharacterDevice', fs.constants.S_IFCHR],
  ['isBlockDevice', fs.constants.S_IFBLK],
];
for (const [name, type] of kTypes) {
  Object.defineProperty(StatBuffer.prototype, name, {
    configurable: true,
    writable: true,
    value(this: StatBuffer) {
      return (this.mode & fs.constants.S_IFMT) === type;
    },
  });
}

/* The lookups between two waits. */
class Group {
  pending = 0;
  readonly waits: Wait[] = [];
}

/* One wait_for_async(): `groups` is the number of groups that it still waits for. */
class Wait {
  groups = 0;
  done: () => void = () => {};
}

/* One lookup. */
class AsyncStatOp extends Op implements StatTarget {
  readonly path: string | Uint8Array;
  readonly flags = 0;
  sent = -1;
  readonly #into: StatBuffer;
  readonly #scope: Scope;
  readonly #group: Group;

  constructor(path: string | Uint8Array, into: StatBuffer, scope: Scope, group: Group) {
    super();
    this.path = path;
    this.#into = into;
    this.#scope = scope;
    this.#group = group;
    this.referenced = false; // a wait keeps the process alive, not the lookup
  }

  override submit(): boolean {
    engine.addStat(this);
    return true;
  }

  override complete(low: number, high: number): void {
    try {
      if (isError(low, high)) this.#into.error = low | 0;
      else {
        statNumbersInto(this.slot, this.#into);
        this.#into.error = 0;
      }
    } finally {
      this.#scope.finished(this.#group); // also when the buffer cannot be written (a frozen object)
    }
  }

  // Nobody aborts a lookup: an abort ends the wait only.
  override reject(): void {}
  override timedOut(): Error {
    return new SyscallError(-Errno.ETIMEDOUT, 'stat', { path: shownPath(this.path) });
  }
}

/* One pair of async_stat and wait_for_async. */
class Scope {
  #group = new Group();
  readonly #unfinished = new Set<Group>();

  start(path: PathLike, into: StatBuffer): void {
    if (!(into instanceof StatBuffer)) throw invalidArgType('into', 'an instance of StatBuffer', into);
    const argument = ownPath(path);
    into.error = -Errno.EINPROGRESS;
    const group = this.#group;
    if (group.pending++ === 0) this.#unfinished.add(group);
    engine.start(new AsyncStatOp(argument, into, this, group));
  }

  finished(group: Group): void {
    if (--group.pending > 0) return;
    this.#unfinished.delete(group);
    for (const wait of group.waits) if (--wait.groups === 0) wait.done();
  }

  wait(options: CommonOptions | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      checkCommonOptions(options);
      const { signal, timeout, ref = true } = options ?? {};
      if (signal?.aborted) throw new AbortError(signal.reason);
      if (this.#unfinished.size === 0) {
        resolve();
        return;
      }
      const wait = new Wait();
      for (const group of this.#unfinished) {
        wait.groups++;
        group.waits.push(wait);
      }
      if (this.#group.pending > 0) this.#group = new Group();
      let timer: NodeJS.Timeout | undefined;
      const settle = (): void => {
        wait.done = () => {};
        clearTimeout(timer);
        forget?.();
        if (ref) native.holdLoop(false);
      };
      const abort = (): void => {
        settle();
        reject(abortError(signal!));
      };
      wait.done = () => {
        settle();
        if (signal?.aborted) reject(abortError(signal));
        else resolve();
      };
      const forget = signal && onAbort(signal, abort);
      if (timeout !== undefined && timeout <= kLongestMs) {
        timer = setTimeout(() => {
          settle();
          reject(new SyscallError(-Errno.ETIMEDOUT, 'stat'));
        }, timeout);
        if (!ref) timer.unref();
      }
      engine.flush();
      if (ref) native.holdLoop(true);
    });
  }
}

/** A pair of functions: the wait is only for the lookups of the same pair, so that libraries do not wait for each other. */
export interface AsyncScope {
  /** As the root's {@link async_stat}. */
  async_stat(path: PathLike, into: StatBuffer): void;
  /** As the root's {@link wait_for_async}. */
  wait_for_async(options?: CommonOptions): Promise<void>;
}

/**
 * Makes a pair of `async_stat` and `wait_for_async` that waits for its own lookups only.
 *
 * @example
 * const { async_stat, wait_for_async } = asyncScope();
 * const entry = new StatBuffer();
 * async_stat('/etc/hostname', entry);
 * await wait_for_async();
 */
export function asyncScope(): AsyncScope {
  const scope = new Scope();
  return {
    async_stat: (path, into) => scope.start(path, into),
    wait_for_async: (options) => scope.wait(options),
  };
}

const root = new Scope();

/**
 * Begins a stat(2) of a path. The result is in `into` after {@link wait_for_async}. When the lookup fails, `into.error` is -errno.
 * The lookup keeps the process alive only while somebody waits for it.
 *
 * The pair of the root is one scope for the whole environment, for use in programs. A library makes its own with {@link
 * asyncScope}.
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE for a wrong path or buffer
 * @example
 * const names = await readdir('/etc');
 * const entry = names.map(() => new StatBuffer());
 * for (const [i, name] of names.entries()) async_stat(`/etc/${name}`, entry[i]);
 * await wait_for_async();
 */
export function async_stat(path: PathLike, into: StatBuffer): void {
  root.start(path, into);
}

/**
 * Waits for all lookups that the scope has begun before this call. A lookup that failed does not reject the wait.
 *
 * Rejects with an AbortError or ETIMEDOUT for `signal` and `timeout`: the wait ends, and the lookups go on.
 *
 * @example
 * await wait_for_async({ timeout: 1000 });
 */
export function wait_for_async(options?: CommonOptions): Promise<void> {
  return root.wait(options);
}
