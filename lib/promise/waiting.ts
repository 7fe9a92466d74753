/*
 * From start() to a slot: which op gets one, and which has to wait because too many are in flight, or memory or threads are
 * short. Ops that wait start in order, and keep the loop as those in flight do.
 */
import { Errno } from '../generated/wire';
import { native } from '../native';
import { setTimeout } from '../timers';
import type { Abandon } from './abandon';
import { type Op, Phase, type Refusable } from './op';
import { kNoSlot, type Slots } from './slots';
import type { Turns } from './turns';

const kMaxInFlight = 65_536; // beyond it ops wait here, in order
const kStartedInTurn = 4096; // as many as complete in one turn at most
const kMostSkipped = 65_536; // aborted ones that are passed over in one turn, in the queue of those that wait
const kRetryMs = 4; // from an answer that memory or threads are short until it is asked again

/** Where ops go that have got a slot. */
interface Tick {
  place(op: Op): void;
  flush(): void;
}

export class Waiting {
  readonly #slots: Slots;
  readonly #abandon: Abandon;
  readonly #turns: Turns;
  readonly #tick: Tick;
  #queue: Op[] = [];
  #first = 0;
  #holdsLoop = false;
  #isShort = false; // the last op that was sent down came back: no thread, or no memory
  #isRetryScheduled = false;

  constructor(slots: Slots, abandon: Abandon, turns: Turns, tick: Tick) {
    this.#slots = slots;
    this.#abandon = abandon;
    this.#turns = turns;
    this.#tick = tick;
  }

  get length(): number {
    return this.#queue.length - this.#first;
  }

  /** Starts an op, or lets it wait for its turn. */
  start(op: Op): void {
    if (this.#slots.inFlight >= kMaxInFlight || this.#first < this.#queue.length) {
      this.#queue.push(op);
      if (op.referenced) this.#holdLoop();
      return;
    }
    this.#give(op);
  }

  #give(op: Op): void {
    const failure = this.#slots.open();
    if (failure !== undefined) {
      this.#abandon.settle(op);
      op.reject(failure);
      return;
    }
    const slot = this.#slots.take();
    if (slot === kNoSlot) {
      this.#postpone(op);
      return;
    }
    this.#slots.assign(slot, op);
    this.#tick.place(op);
  }

  /**
   * No thread or no memory just now: the op goes first when something completes, and something is asked again soon, with one op
   * as long as that is refused. Of several that are taken back the last goes first.
   */
  takeBack(op: Op): void {
    this.#slots.release(op);
    this.#postpone(op);
  }

  #postpone(op: Op): void {
    op.phase = Phase.waiting;
    op.slot = kNoSlot;
    if (this.#first > 0) this.#queue[--this.#first] = op;
    else this.#queue.unshift(op);
    if (op.referenced) this.#holdLoop();
    this.#isShort = true;
    if (this.#isRetryScheduled) return;
    this.#isRetryScheduled = true;
    setTimeout(this.#retry, kRetryMs).unref();
  }

  /** What became of an op that has been sent down: 0, or -errno. */
  answered(op: Op & Refusable, status: number): void {
    if (status === 0) {
      op.phase = Phase.submitted;
      return;
    }
    if (status === -Errno.EAGAIN) {
      this.takeBack(op);
      return;
    }
    this.#slots.release(op);
    this.#abandon.settle(op);
    try {
      op.refused(status);
    } catch (error) {
      this.#abandon.reject(op, error as Error);
    }
  }

  /** The op could not be sent down: a batch that has got half of its record leaves it out. */
  fail(op: Op, error: Error): void {
    this.#slots.release(op);
    this.#abandon.settle(op);
    this.#abandon.reject(op, error);
  }

  readonly #retry = (): void => {
    this.#isRetryScheduled = false;
    this.#turns.retry();
  };

  /** Starts those that wait, as many as there is room for. */
  pump(): void {
    if (this.length === 0) return;
    let started = 0;
    let skipped = 0;
    while (
      this.#first < this.#queue.length &&
      this.#slots.inFlight < kMaxInFlight &&
      started < kStartedInTurn &&
      skipped < kMostSkipped
    ) {
      const op = this.#queue[this.#first]!;
      this.#queue[this.#first++] = undefined as never;
      if (!this.#abandon.mayStart(op)) {
        skipped++; // aborted while it waited
        continue;
      }
      started++;
      const wasShort = this.#isShort;
      this.#isShort = false;
      this.#give(op);
      if (wasShort) this.#tick.flush();
      if (this.#isShort) break; // it is waiting again
    }
    if (this.length === 0) {
      this.#queue = [];
      this.#first = 0;
      this.#tick.flush();
      if (this.length === 0) this.#releaseLoop();
    } else {
      if (started >= kStartedInTurn || skipped >= kMostSkipped) this.#turns.schedule();
      if (this.#first > kMaxInFlight && this.#first * 2 > this.#queue.length) {
        this.#queue = this.#queue.slice(this.#first); // a queue that is never empty has an end all the same
        this.#first = 0;
      }
    }
    this.#tick.flush();
  }

  #holdLoop(): void {
    if (this.#holdsLoop) return;
    this.#holdsLoop = true;
    native.holdLoop(true);
  }

  #releaseLoop(): void {
    if (!this.#holdsLoop) return;
    this.#holdsLoop = false;
    native.holdLoop(false);
  }
}
