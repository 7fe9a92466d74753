/*
 * TreeReader and Page, which walk() and readdir() share: a walk in the core, its pages as they come, its errors as node:fs
 * has them.
 */

import { isAscii } from 'node:buffer';
import { Steps } from '../../call/steps';
import { SyscallError } from '../../errors';
import { Errno, Wire } from '../../generated/wire';
import { type NativeWalkPage, native, type Slot, type WalkHandle } from '../../native';
import { engine } from '../../promise/engine';
import type { CommonOptions } from '../../promise/options';
import { kRetryMs } from '../../promise/waiting';
import { setTimeout } from '../../timers';
import { shownPath } from '../paths';
import { type Pulled, PullReader } from '../pull-reader';
import { Columns, StatRows } from '../stat/columns';
import { treeError } from './tree-error';

/** Pages and errors that a walk has found since the last look. */
interface Found {
  readonly pages: readonly NativeWalkPage[];
  readonly errors: readonly SyscallError[];
}

/** One walk through a tree in the core (native/core/jobs/tree). */
export class TreeReader extends PullReader<Found, WalkHandle> {
  readonly #root: string | Uint8Array;
  readonly #flags: number;
  readonly #maxDepth: number;
  readonly #asBytes: boolean;

  constructor(
    root: string | Uint8Array,
    flags: number,
    maxDepth: number,
    asBytes: boolean,
    options: CommonOptions | undefined,
  ) {
    super(new Steps(options, 'scandir', shownPath(root)));
    this.#root = root;
    this.#flags = flags;
    this.#maxDepth = maxDepth;
    this.#asBytes = asBytes;
  }

  protected override begin(): WalkHandle | null {
    return native.walkBegin(this.#root, this.#flags, this.#maxDepth);
  }

  protected override wait(job: WalkHandle, slot: Slot, option: number): number {
    return native.walkWait(job, slot, option);
  }

  protected override take(job: WalkHandle): Pulled<Found> {
    const { pages, errors, ended, result } = native.walkTake(job, this.#asBytes);
    const part = pages.length + errors.length === 0 ? undefined : { pages, errors: errors.map(treeError) };
    return { part, ended, result };
  }

  protected override failure(result: number): Error {
    return new SyscallError(result, 'scandir', { path: shownPath(this.#root) });
  }

  /* -EAGAIN means that no thread can be started now. The walk begins again some milliseconds later. */
  protected override async isWorthAnother(result: number): Promise<boolean> {
    if (result !== -Errno.EAGAIN) return false;
    engine.waitingElsewhere++;
    try {
      await this.steps.until(new Promise<void>((resolve) => setTimeout(resolve, kRetryMs)));
    } finally {
      engine.waitingElsewhere--;
    }
    this.steps.next();
    return true;
  }
}

/** One page of a walk: up to 1,024 entries. */
export class Page {
  /** An EntryType of each entry. */
  readonly types: Uint8Array;
  /** Runs of consecutive entries of one depth (WalkRun). */
  readonly runs: Uint32Array;
  readonly stats: StatRows | undefined;
  readonly #text: string | ArrayBuffer;

  constructor({ text, rows, facts, stats, capacity }: NativeWalkPage) {
    this.#text = text;
    this.types = new Uint8Array(facts, 0, rows);
    this.runs = new Uint32Array(facts, (rows + Wire.runsAlign - 1) & -Wire.runsAlign);
    this.stats = stats === undefined ? undefined : new StatRows(new Columns(stats, capacity!, rows));
  }

  get length(): number {
    return this.types.length;
  }

  /** Whether all bytes are ASCII. For a page of bytes only. */
  get isAscii(): boolean {
    return isAscii(Buffer.from(this.#text as ArrayBuffer));
  }

  /** The names or paths of the entries. They share the memory of their page. */
  texts(): string[] | Buffer[] {
    return typeof this.#text === 'string' ? this.#text.split('\0') : this.#buffers(Buffer.from(this.#text));
  }

  /** The names of a page of bytes as strings that share no memory: they sort three times as fast. */
  strings(): string[] {
    const bytes = Buffer.from(this.#text as ArrayBuffer);
    const encoding = isAscii(bytes) ? 'latin1' : 'utf8';
    return this.#ranges(bytes, (start, end) => bytes.toString(encoding, start, end));
  }

  #buffers(bytes: Buffer): Buffer[] {
    return this.#ranges(bytes, (start, end) => bytes.subarray(start, end));
  }

  #ranges<T>(bytes: Buffer, make: (start: number, end: number) => T): T[] {
    const made: T[] = [];
    for (let at = 0; made.length < this.length; ) {
      const nul = bytes.indexOf(0, at);
      const end = nul < 0 ? bytes.length : nul;
      made.push(make(at, end));
      at = end + 1;
    }
    return made;
  }
}
