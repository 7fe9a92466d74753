/* What walk and readdir share: a native walk, its pages as they come, its errors in the words of node:fs. */

import { isAscii } from 'node:buffer';
import { onAbortOf } from '../../abort';
import { Steps } from '../../call/steps';
import { SyscallError } from '../../errors';
import { Errno, JobOption, Wire } from '../../generated/wire';
import { type Handle, type NativeWalkPage, native } from '../../native';
import { engine } from '../../promise/engine';
import { Op, Phase } from '../../promise/op';
import type { CommonOptions } from '../../promise/options';
import { isTurnOver, nextTurn } from '../../promise/turn-clock';
import { setTimeout } from '../../timers';
import { shownPath } from '../paths';
import { Columns, StatRows } from '../stat/columns';
import { treeError } from './tree-error';

const kRetryMs = 5;

/** A part of what a walk has found. */
export interface Found {
  readonly pages: readonly NativeWalkPage[];
  readonly errors: readonly SyscallError[];
}

/* Waits until the walk has something to take. */
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
    if (native.walkWait(this.#job, this.slot, this.referenced ? 0 : JobOption.unreferenced) !== 0) return false;
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

/** One traversal. `next()` must not be called again before it has settled. */
export class TreeReader {
  readonly #root: string | Uint8Array;
  readonly #flags: number;
  readonly #maxDepth: number;
  readonly #asBytes: boolean;
  readonly #steps: Steps;
  #job: Handle | undefined;
  #ended = false;
  #forgetSignal: (() => void) | undefined;

  constructor(
    root: string | Uint8Array,
    flags: number,
    maxDepth: number,
    asBytes: boolean,
    options: CommonOptions | undefined,
  ) {
    this.#root = root;
    this.#flags = flags;
    this.#maxDepth = maxDepth;
    this.#asBytes = asBytes;
    this.#steps = new Steps(options, 'scandir', shownPath(root));
  }

  /** The next part; undefined at the end. Rejects when the root cannot be read, on abort and on time-out. */
  async next(): Promise<Found | undefined> {
    if (this.#ended) return undefined;
    try {
      this.#steps.next();
      if (this.#job === undefined && this.#steps.signal !== undefined) {
        await null; // aborted in its tick: never runs
        this.#steps.next();
      }
      this.#job ??= this.#begin();
      for (;;) {
        const { pages, errors, ended, result } = native.walkTake(this.#job, this.#asBytes);
        if (result === -Errno.EAGAIN && ended && pages.length + errors.length === 0) {
          await this.#waitForThread();
          this.#job = this.#begin();
          continue;
        }
        if (ended) {
          this.close();
          if (result !== 0) throw this.#failure(result);
        }
        if (pages.length > 0 || errors.length > 0) return { pages, errors: errors.map(treeError) };
        if (ended) return undefined;
        await this.#wait(this.#job);
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Lets the loop turn if it is time. Throws when the traversal has been aborted, or its time is over. */
  async shareTurn(): Promise<void> {
    if (!isTurnOver()) return;
    await nextTurn();
    try {
      if (!this.#ended) this.#steps.next();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Ends the traversal: what runs is interrupted, descriptors are closed. */
  close(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#forgetSignal?.();
    if (this.#job !== undefined) native.jobCancel(this.#job);
  }

  /* None can be had just now, and nothing has been begun: asked again soon, as every other helper does. */
  async #waitForThread(): Promise<void> {
    this.#forgetSignal?.();
    this.#forgetSignal = undefined;
    engine.waitingElsewhere++;
    try {
      await this.#steps.until(new Promise<void>((resolve) => setTimeout(resolve, kRetryMs)));
    } finally {
      engine.waitingElsewhere--;
    }
    this.#steps.next();
  }

  #begin(): Handle {
    const job = native.walkBegin(this.#root, this.#flags, this.#maxDepth);
    if (job === null) throw new SyscallError(-Errno.ENOMEM, 'scandir', { path: shownPath(this.#root) });
    const { signal } = this.#steps;
    if (signal !== undefined) {
      // An abort ends the helpers although nobody waits just now; the next next() rejects. The signal keeps no walk alive.
      this.#forgetSignal = onAbortOf(signal, this, (reader) => reader.abort());
    }
    return job;
  }

  /** @internal */
  abort(): void {
    if (this.#job !== undefined) native.jobCancel(this.#job);
  }

  #wait(job: Handle): Promise<void> {
    return new Promise((resolve, reject) => {
      const op = new WaitOp(job, this.#steps, resolve, reject);
      if (engine.watch(op, this.#steps.next())) engine.start(op);
    });
  }

  #failure(result: number): Error {
    if (result === -Errno.ECANCELED) this.#steps.next(); // throws the AbortError, if it was that
    return new SyscallError(result, 'scandir', { path: shownPath(this.#root) });
  }
}

/** One page, taken apart. */
export class Page {
  /** An EntryType of each entry. */
  readonly types: Uint8Array;
  /** A WalkRun of consecutive entries each. */
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

  /** Of a page of bytes: whether all of them are ASCII. */
  get isAscii(): boolean {
    return isAscii(Buffer.from(this.#text as ArrayBuffer));
  }

  /** The names or paths of the entries. Strings share the memory of their page. */
  texts(): string[] | Buffer[] {
    return typeof this.#text === 'string' ? this.#text.split('\0') : this.#buffers(Buffer.from(this.#text));
  }

  /** The same of a page of bytes, as strings that stand alone: they sort three times as fast. */
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
