/*
 * Ops that end early: by their signal, by their time-out, or because a helper gives one up. Their promises are rejected at
 * once or in portions, and the kernel finishes the calls without anybody listening.
 */
import { groupOf, inPortions, List, type SignalGroup } from '../abort';
import { AbortError } from '../errors';
import { native } from '../native';
import { now, warnOf } from '../timers';
import { Deadlines } from './deadlines';
import { leaveLater } from './leaving';
import { type Op, Phase } from './op';
import type { CommonOptions } from './options';
import type { Slots } from './slots';

export class Abandon {
  readonly #slots: Slots;
  readonly #ended: () => void;
  readonly #deadlines = new Deadlines<Op>((due) => this.#end(due, (op) => op.timedOut(), now()));
  #ending = new Uint32Array(64);

  /** `ended`: called when ops have ended early, and others may start. */
  constructor(slots: Slots, ended: () => void) {
    this.#slots = slots;
    this.#ended = ended;
  }

  /** Hooks the op up to signal and timeout, which have been checked. False: rejected already. */
  watch(op: Op, { signal, timeout, ref }: CommonOptions): boolean {
    if (ref === false) op.referenced = false;
    if (signal?.aborted) {
      op.phase = Phase.settled;
      op.reject(new AbortError(signal.reason));
      return false;
    }
    if (signal === undefined && timeout === undefined) return true;
    const group = signal === undefined ? undefined : groupOf<Op>(signal);
    if (group !== undefined) group.whenAborted ??= this.#whenAborted;
    op.watched = {
      group,
      signal: group?.addOp(op),
      deadline: timeout === undefined ? undefined : this.#deadlines.add(op, timeout, ref !== false),
      error: undefined,
    };
    return true;
  }

  unwatch(op: Op): void {
    const { watched } = op;
    if (watched === undefined) return;
    op.watched = undefined;
    if (watched.signal?.list?.remove(watched.signal)) watched.group?.left();
    if (watched.deadline !== undefined) this.#deadlines.remove(watched.deadline);
  }

  /** Whether the op may still start: its signal may be aborted, and others be told of that before us. */
  mayStart(op: Op): boolean {
    op.watched?.group?.look();
    return op.phase !== Phase.settled;
  }

  /** The op is over: it has completed, or could not be started. */
  settle(op: Op): void {
    this.unwatch(op);
    op.phase = Phase.settled;
  }

  /** Gives up one op: its promise is rejected now. */
  abandon(op: Op, error: Error): void {
    if (op.phase === Phase.abandoned || op.phase === Phase.settled) return;
    this.unwatch(op);
    const slot = this.#mark(op);
    if (slot >= 0) {
      this.#ending[0] = slot;
      native.abandonSlots(this.#ending, 1);
    }
    op.reject(error);
    this.#ended();
  }

  /** Rejects the promise of an op that has been marked, unless it has been. */
  readonly tell = (op: Op): void => {
    const { watched } = op;
    if (watched?.error === undefined) return;
    this.unwatch(op);
    this.reject(op, watched.error(op));
  };

  reject(op: Op, error: Error): void {
    try {
      op.reject(error);
    } catch (thrown) {
      warnOf(thrown); // a defect of ours, and no reason to lose what comes behind it
    }
  }

  readonly #whenAborted = (group: SignalGroup<Op>): void => {
    const began = now();
    const ops = group.ops;
    group.ops = new List();
    this.#end(ops, () => group.error(), began);
  };

  /*
   * Ends very many at once: none of them starts any more, none begins another call, and none completes. Their promises are
   * rejected in portions, the oldest first.
   */
  #end(ops: List<Op>, error: (op: Op) => Error, began: number): void {
    let count = 0;
    let slots = this.#ending;
    for (let link = ops.first; link !== undefined; link = link.next) {
      const op = link.value;
      const watched = op.watched!;
      if (watched.signal !== link && watched.signal?.list?.remove(watched.signal)) watched.group?.left();
      if (watched.deadline !== undefined) this.#deadlines.remove(watched.deadline);
      watched.signal = link;
      watched.deadline = undefined;
      watched.error = error;
      const slot = this.#mark(op);
      if (slot < 0) continue;
      if (count === slots.length) {
        slots = new Uint32Array(count * 2);
        slots.set(this.#ending);
        this.#ending = slots;
      }
      slots[count++] = slot;
    }
    if (count > 0) native.abandonSlots(slots, count);
    inPortions(ops, this.tell, began);
    this.#ended();
  }

  /* It never starts, or its result is unwanted. The slot that is to be abandoned, or -1. */
  #mark(op: Op): number {
    if (op.phase === Phase.submitted) {
      op.phase = Phase.abandoned;
      this.#slots.inFlight--; // it may stay for ever: the others must not wait for it
      leaveLater(op);
      return op.cancel() ? -1 : op.slot;
    }
    // The flush of its batch leaves it out: what is aborted before its start never runs.
    if (op.phase === Phase.batched) this.#slots.release(op);
    op.phase = Phase.settled;
    return -1;
  }
}
