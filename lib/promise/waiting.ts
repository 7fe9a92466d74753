/*
 * From start() to a slot: an op gets a slot, or waits because too many ops are in flight, or memory or threads are short. Ops
 * that wait start in order. They keep the event loop alive as ops in flight do.
 */
import { Errno } from '../generated/wire';
import { native } from '../native';
import { kTurnOps, setTimeout } from '../timers';
import type { Abandon } from './abandon';
import { kNoSlot, type Op, Phase, type Refusable } from './op';
import type { Slots } from './slots';
import type { Turns } from './turns';

const kMaxInFlight = 65_536; // beyond it ops wait here, in order

/**
 * Milliseconds until an op is tried again that found no memory or no thread. A try in each turn of the loop would keep a core
 * busy.
 */
export const kRetryMs = 4;

/** Where ops with a slot go: see lib/promise/tick.ts. */
interface Tick {
  place(op: Op): void;
  flush(): void;
}

/** The queue of ops without a slot, and what an answer of the core means for an op. */
export class Waiting {
  readonly #slots: Slots;
  readonly #abandon: Abandon;
  readonly #turns: Turns;
  readonly #tick: Tick;
  #queue: Op[] = [];
  #first = 0;
  #holdsLoop = false;
  #isShort = false; // the core had no thread or no memory for the last op
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

  /** Starts an op, or lets it wait in order. */
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
   * Puts an op back to the front of the queue, because there is no thread or no memory for it now. It is tried again when
   * something completes, and after a few milliseconds. While ops are short of something, only one op is tried at a time. Of
   * several ops that are taken back, the one taken back last goes first.
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

  /** Takes the status of an op that was submitted: 0 means accepted, -EAGAIN means try again later, any other -errno refused. */
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

  /** Rejects an op that could not be submitted. A batch with a part of its record leaves it out. */
  fail(op: Op, error: Error): void {
    this.#slots.release(op);
    this.#abandon.settle(op);
    this.#abandon.reject(op, error);
  }

  readonly #retry = (): void => {
    this.#isRetryScheduled = false;
    this.#turns.retry();
  };

  /** Starts waiting ops, as many as there is room for. */
  pump(): void {
    if (this.length === 0) return;
    let looked = 0;
    while (this.#first < this.#queue.length && this.#slots.inFlight < kMaxInFlight && looked < kTurnOps) {
      looked++;
      const op = this.#queue[this.#first]!;
      this.#queue[this.#first++] = undefined as never;
      if (!this.#abandon.mayStart(op)) continue; // aborted while it waited
      const wasShort = this.#isShort;
      this.#isShort = false;
      this.#give(op);
      if (wasShort) this.#tick.flush();
      if (this.#isShort) break; // the op is waiting again
    }
    if (this.length === 0) {
      this.#queue = [];
      this.#first = 0;
      this.#tick.flush();
      if (this.length === 0) this.#releaseLoop();
    } else {
      if (looked >= kTurnOps) this.#turns.schedule();
      if (this.#first > kMaxInFlight && this.#first * 2 > this.#queue.length) {
        this.#queue = this.#queue.slice(this.#first); // otherwise a queue that never becomes empty would grow for ever
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
