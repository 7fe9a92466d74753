/*
 * PullReader: the consumer of a job that gives its results in parts, as walk and readFiles do. The threads of the job go on
 * while nobody asks for a part, up to a bound that the job has.
 */
import { onAbortOf } from '../abort';
import type { Steps } from '../call/steps';
import { Errno } from '../generated/wire';
import { type JobHandle, native, type Slot } from '../native';
import { engine } from '../promise/engine';
import { JobOp } from '../promise/job-op';
import { isTurnOver, nextTurn } from '../promise/turn-clock';

/** What a job has ready. `result` (0 or -errno) means something once `ended` is true. */
export interface Pulled<Part> {
  readonly part: Part | undefined;
  readonly ended: boolean;
  readonly result: number;
}

/* An op that completes when the job has something ready. */
class WaitOp extends JobOp<void, JobHandle> {
  readonly #source: JobHandle;
  readonly #wait: (slot: Slot, option: number) => number;
  readonly #steps: Steps;

  constructor(
    source: JobHandle,
    wait: (slot: Slot, option: number) => number,
    steps: Steps,
    resolve: () => void,
    reject: (error: Error) => void,
  ) {
    super(resolve, reject);
    this.#source = source;
    this.#wait = wait;
    this.#steps = steps;
  }

  override goesAlone(): boolean {
    return false; // nothing is to be held back until the end of the tick: the job runs already
  }

  protected override begin(option: number): JobHandle | null {
    return this.#wait(this.slot, option) === 0 ? this.#source : null;
  }

  override complete(): void {
    this.resolve();
  }

  override timedOut(): Error {
    return this.#steps.timedOut();
  }
}

/** One job and its consumer. Call `next()` only after the promise of the call before has settled. */
export abstract class PullReader<Part, Job extends JobHandle> {
  protected readonly steps: Steps;
  #job: Job | undefined;
  #hasGiven = false;
  #ended = false;
  #forgetSignal: (() => void) | undefined;

  constructor(steps: Steps) {
    this.steps = steps;
  }

  /** Begins the job and returns its handle. Null: no memory. */
  protected abstract begin(): Job | null;
  /** Gives the job an op (its slot) that completes when something is ready. Returns 0, or -errno. */
  protected abstract wait(job: Job, slot: Slot, option: number): number;
  /** Takes what is ready. */
  protected abstract take(job: Job): Pulled<Part>;
  /** The error for a job that has failed with -errno, or could not begin. */
  protected abstract failure(result: number): Error;

  /** Resolves to true when the job should be begun again after this result. Asked only before the first part was given. */
  protected async isWorthAnother(_result: number): Promise<boolean> {
    return false;
  }

  /** Resolves to the next part, undefined at the end. Rejects when the job has failed, is aborted or has timed out. */
  async next(): Promise<Part | undefined> {
    if (this.#ended) return undefined;
    try {
      if (isTurnOver()) await nextTurn();
      this.steps.next();
      if (this.#job === undefined && this.steps.signal !== undefined) {
        await null; // a job that is aborted within its tick never runs
        this.steps.next();
      }
      for (;;) {
        const job = (this.#job ??= this.#begin());
        const { part, ended, result } = this.take(job);
        if (ended && result !== 0) {
          if (this.#hasGiven || part !== undefined || !(await this.isWorthAnother(result))) throw this.#failed(result);
          this.#forgetSignal?.();
          this.#job = undefined;
          continue;
        }
        if (ended) this.close();
        if (part !== undefined) this.#hasGiven = true;
        if (part !== undefined || ended) return part;
        await this.#until(job);
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #begin(): Job {
    const job = this.begin();
    if (job === null) throw this.failure(-Errno.ENOMEM);
    const { signal } = this.steps;
    if (signal !== undefined) {
      // An abort ends the job even when nobody waits for a part; the following next() rejects. The signal does not keep the
      // job alive.
      this.#forgetSignal = onAbortOf(signal, this, (reader) => reader.cancel());
    }
    return job;
  }

  #until(job: Job): Promise<void> {
    return new Promise((resolve, reject) => {
      const op = new WaitOp(job, (slot, option) => this.wait(job, slot, option), this.steps, resolve, reject);
      if (engine.watch(op, this.steps.next())) engine.start(op);
    });
  }

  #failed(result: number): Error {
    if (result === -Errno.ECANCELED) this.steps.next(); // throws the AbortError after an abort
    return this.failure(result);
  }

  /** Lets the event loop turn if it has not for a while. Rejects when the job has been aborted or has timed out. */
  async shareTurn(): Promise<void> {
    if (!isTurnOver()) return;
    await nextTurn();
    try {
      if (!this.#ended) this.steps.next();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Ends the job: running calls are interrupted, descriptors are closed, memory is freed. */
  close(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#forgetSignal?.();
    this.cancel();
  }

  /** @internal Cancels the job and keeps the reader open: the next next() rejects. */
  cancel(): void {
    if (this.#job !== undefined) native.jobCancel(this.#job);
  }
}
