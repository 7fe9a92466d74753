/*
 * A job of the core that gives what it finds in parts, when somebody asks for them: the threads go on while nobody does, up to
 * a bound of their own.
 */
import { onAbortOf } from '../abort';
import type { Steps } from '../call/steps';
import { Errno } from '../generated/wire';
import { type JobHandle, native, type Slot } from '../native';
import { engine } from '../promise/engine';
import { JobOp } from '../promise/job-op';
import { isTurnOver, nextTurn } from '../promise/turn-clock';

/** What a job has ready. `result` counts when the job has ended. */
export interface Pulled<Part> {
  readonly part: Part | undefined;
  readonly ended: boolean;
  readonly result: number;
}

/* Ends when there is something to take. */
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
    return false; // the job is at work already
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

/** One job and its consumer. `next()` must not be called again before it has settled. */
export abstract class PullReader<Part, Job extends JobHandle> {
  protected readonly steps: Steps;
  #job: Job | undefined;
  #hasGiven = false;
  #ended = false;
  #forgetSignal: (() => void) | undefined;

  constructor(steps: Steps) {
    this.steps = steps;
  }

  /** The job, at work; null: no memory. */
  protected abstract begin(): Job | null;
  /** Gives the job an op that ends when there is something to take: 0, or -errno. */
  protected abstract wait(job: Job, slot: Slot, option: number): number;
  protected abstract take(job: Job): Pulled<Part>;
  /** What a result of the job that is no success, or of begin(), rejects with. */
  protected abstract failure(result: number): Error;

  /** Resolves to true when the job can be begun again after this result: it has not given anything yet. */
  protected async isWorthAnother(_result: number): Promise<boolean> {
    return false;
  }

  /** The next part; undefined at the end. Rejects when the job has failed, on abort and on time-out. */
  async next(): Promise<Part | undefined> {
    if (this.#ended) return undefined;
    try {
      if (isTurnOver()) await nextTurn();
      this.steps.next();
      if (this.#job === undefined && this.steps.signal !== undefined) {
        await null; // aborted in its tick: never runs
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
      // An abort ends the job although nobody waits just now; the next next() rejects. The signal keeps no job alive.
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
    if (result === -Errno.ECANCELED) this.steps.next(); // throws the AbortError, if it was that
    return this.failure(result);
  }

  /** Lets the loop turn if it is time. Rejects when the job has been aborted, or its time is over. */
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

  /** Ends the job: what runs is interrupted, descriptors are closed, memory is let go. */
  close(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#forgetSignal?.();
    this.cancel();
  }

  /** @internal */
  cancel(): void {
    if (this.#job !== undefined) native.jobCancel(this.#job);
  }
}
