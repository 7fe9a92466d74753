/*
 * Ops that end early: by their signal, by their time-out, or because a helper abandons one. Their promises are rejected at once
 * or in portions. Their calls are cancelled, and the core disposes of late results.
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

/** Connects ops with signals and time-outs, and ends them early. */
export class Abandon {
  readonly #slots: Slots;
  readonly #ended: () => void;
  readonly #deadlines = new Deadlines<Op>((due) => this.#end(due, (op) => op.timedOut(), now()));
  #ending = new Uint32Array(64);

  /** `ended` is called when ops have ended early, and waiting ops may start. */
  constructor(slots: Slots, ended: () => void) {
    this.#slots = slots;
    this.#ended = ended;
  }

  /** Connects the op with its signal and time-out, which have been checked. False: the op is rejected. */
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

  /** Takes the op out of the lists of its signal and its time-out. */
  unwatch(op: Op): void {
    const { watched } = op;
    if (watched === undefined) return;
    op.watched = undefined;
    if (watched.signal?.list?.remove(watched.signal)) watched.group?.left();
    if (watched.deadline !== undefined) this.#deadlines.remove(watched.deadline);
  }

  /** Whether the op may still start. Looks at its signal, because listeners of others may run before the engine's listener. */
  mayStart(op: Op): boolean {
    op.watched?.group?.look();
    return op.phase !== Phase.settled;
  }

  /** Ends an op that has completed or could not be started. */
  settle(op: Op): void {
    this.unwatch(op);
    op.phase = Phase.settled;
  }

  /** Ends one op early: its promise is rejected now. */
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

  /** Rejects the promise of a marked op, unless that has been done. */
  readonly rejectMarked = (op: Op): void => {
    const { watched } = op;
    if (watched?.error === undefined) return;
    this.unwatch(op);
    this.reject(op, watched.error(op));
  };

  /** Rejects the promise of an op. An exception in reject() is a defect of acall, and must not stop the ops behind this one. */
  reject(op: Op, error: Error): void {
    try {
      op.reject(error);
    } catch (thrown) {
      warnOf(thrown);
    }
  }

  readonly #whenAborted = (group: SignalGroup<Op>): void => {
    const began = now();
    const ops = group.ops;
    group.ops = new List();
    this.#end(ops, () => group.error(), began);
  };

  /*
   * Ends any number of ops at once: from now on none of them starts, begins another call or completes. Their promises are
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
    inPortions(ops, this.rejectMarked, began);
    this.#ended();
  }

  /* Marks an op: it never starts, or its result is unwanted. Returns the slot that the core has to abandon, or -1. */
  #mark(op: Op): number {
    if (op.phase === Phase.submitted) {
      op.phase = Phase.abandoned;
      this.#slots.inFlight--; // the call may stay in the kernel for ever, and waiting ops must not wait for it
      leaveLater(op);
      return op.cancel() ? -1 : op.slot;
    }
    // The flush of its batch leaves the op out: an op that is aborted before its start never runs.
    if (op.phase === Phase.batched) this.#slots.release(op);
    op.phase = Phase.settled;
    return -1;
  }
}
