/*
 * Who wants to hear of an abort: one listener on each signal, however many ops it has (Node warns of more than ten), and
 * nothing that is linear in their number but what is done for each of them.
 */
import { AbortError } from './errors';
import { now, setImmediate, warnOf } from './timers';

/** Whether it is an AbortSignal, of whatever realm or kind: as Node does, by what it has. */
export function isAbortSignal(value: unknown): value is AbortSignal {
  if (typeof value !== 'object' || value === null || !('aborted' in value)) return false;
  const { addEventListener, removeEventListener } = value as AbortSignal;
  return typeof addEventListener === 'function' && typeof removeEventListener === 'function';
}

/** A place in a {@link List}. */
export class Link<T> {
  readonly value: T;
  list: List<T> | undefined;
  previous: Link<T> | undefined = undefined;
  next: Link<T> | undefined = undefined;

  constructor(value: T, list: List<T>) {
    this.value = value;
    this.list = list;
  }
}

/** A list that its members join at the end and leave wherever they are, both at no more cost for being many. */
export class List<T> {
  first: Link<T> | undefined = undefined;
  last: Link<T> | undefined = undefined;

  add(value: T): Link<T> {
    const link = new Link(value, this);
    link.previous = this.last;
    if (this.last === undefined) this.first = link;
    else this.last.next = link;
    this.last = link;
    return link;
  }

  /** False: it has left already. */
  remove(link: Link<T>): boolean {
    if (link.list !== this) return false;
    const { previous, next } = link;
    if (previous === undefined) this.first = next;
    else previous.next = next;
    if (next === undefined) this.last = previous;
    else next.previous = previous;
    link.list = link.previous = link.next = undefined;
    return true;
  }
}

// ---- Portions

const kPortionMs = 5; // in one turn of the loop, what it takes to mark the ops included
const kPortion = 2048; // the least a promise costs when it is rejected, and whoever awaits it afterwards, is about 2 us
const kLeast = 256; // in each turn, however long other things took: half a millisecond
const kUntilClock = 16; // between two looks at the clock

interface Notified<T> {
  readonly list: List<T>;
  readonly tell: (value: T) => void;
}

const queue = new List<Notified<never>>();
let leftMs = kPortionMs;
let left = kPortion;
let isNextTurnAsked = false;

/* The next turn of the loop has a portion of its own. */
function nextTurn(): void {
  isNextTurnAsked = false;
  leftMs = kPortionMs;
  left = kPortion;
  if (queue.first !== undefined) notifySome(now());
}

function askForNextTurn(): void {
  if (isNextTurnAsked) return;
  isNextTurnAsked = true;
  setImmediate(nextTurn);
}

function notifySome(began: number): void {
  askForNextTurn();
  const until = began + leftMs;
  let time = began;
  for (let place = queue.first; place !== undefined; place = queue.first) {
    const { list, tell } = place.value;
    for (let count = 1; list.first !== undefined; count++) {
      if (left <= 0 || (time > until && kPortion - left >= kLeast)) {
        leftMs = 0;
        return;
      }
      const link = list.first;
      list.remove(link);
      left--;
      tell(link.value);
      if (count % kUntilClock === 0) time = now();
    }
    queue.remove(place);
    time = now();
  }
  leftMs = until - now();
}

/**
 * Calls `tell` for each member of the list, the first first: some now, the others in later turns of the loop, 5 ms in each.
 * A member leaves the list before it is told; one that leaves by itself is not told. `began`: since when this turn of the
 * loop has been busy with it. `tell` must not throw.
 */
export function inPortions<T>(list: List<T>, tell: (value: T) => void, began: number = now()): void {
  const isIdle = queue.first === undefined;
  queue.add({ list, tell } as unknown as Notified<never>);
  if (isIdle) notifySome(began);
}

// ---- Signals

/** What one signal aborts. `Op` is what the engine keeps there. */
export class SignalGroup<Op = unknown> {
  readonly signal: AbortSignal;
  /** Ops that the signal aborts, the oldest first. */
  ops = new List<Op>();
  /** Notified of the abort before anybody else, once. It takes the list over. */
  whenAborted: ((group: SignalGroup<Op>) => void) | undefined;
  #acts = new List<() => void>();
  #listens = false;
  #isOver = false;
  #firstError: AbortError | undefined;
  #stack: string | undefined;
  readonly #listener = (): void => {
    this.look();
  };

  constructor(signal: AbortSignal) {
    this.signal = signal;
  }

  addOp(op: Op): Link<Op> {
    this.#listen();
    return this.ops.add(op);
  }

  addAct(act: () => void): Link<() => void> {
    this.#listen();
    return this.#acts.add(act);
  }

  /** To be called by whoever has left one of the lists. */
  left(): void {
    if (!this.#listens || this.ops.first !== undefined || this.#acts.first !== undefined) return;
    this.#listens = false;
    this.#ask((signal) => signal.removeEventListener('abort', this.#listener));
  }

  /**
   * Whether the signal is aborted. Then its ops are marked, if they have not been: listeners of others may run before ours,
   * and start or complete something.
   */
  look(): boolean {
    if (this.#ask((signal) => signal.aborted) !== true) return false;
    if (this.#isOver) return true;
    this.#isOver = true;
    const acts = this.#acts;
    this.#acts = new List();
    this.whenAborted?.(this);
    this.left();
    if (acts.first !== undefined) inPortions(acts, (act) => act());
    return true;
  }

  /** An AbortError. Those of one signal have one stack: the others cost a tenth of the first. */
  error(): AbortError {
    const cause = this.#ask((signal) => signal.reason as unknown);
    if (this.#firstError === undefined) {
      this.#firstError = new AbortError(cause);
      return this.#firstError;
    }
    this.#stack ??= this.#firstError.stack;
    return AbortError.withStack(cause, this.#stack);
  }

  #listen(): void {
    if (this.#listens) return;
    this.signal.addEventListener('abort', this.#listener);
    this.#listens = true;
  }

  /* A signal may be of the caller's making, and throw: no op of others may suffer, nor the promise that is to be rejected. */
  #ask<T>(question: (signal: AbortSignal) => T): T | undefined {
    try {
      return question(this.signal);
    } catch (error) {
      warnOf(error);
      return undefined;
    }
  }
}

const groups = new WeakMap<AbortSignal, SignalGroup<never>>();
const forgotten = new FinalizationRegistry<() => void>((forget) => forget());

/** The group of a signal; one for all of us. */
export function groupOf<Op>(signal: AbortSignal): SignalGroup<Op> {
  let group = groups.get(signal);
  if (group === undefined) groups.set(signal, (group = new SignalGroup<never>(signal)));
  return group as unknown as SignalGroup<Op>;
}

/** What to reject with after the abort of a signal. */
export function abortError(signal: AbortSignal): AbortError {
  return groupOf(signal).error();
}

/**
 * Calls `act` when the signal is aborted, unless the returned function was called before. Where there are very many, some
 * are called in later turns of the loop: what must not happen after an abort looks at the signal.
 */
export function onAbort(signal: AbortSignal, act: () => void): () => void {
  const group = groupOf(signal);
  const link = group.addAct(act);
  return () => {
    if (link.list?.remove(link)) group.left();
  };
}

/** The same for something that the signal must not keep alive: `act` gets it while it is. */
export function onAbortOf<Target extends object>(
  signal: AbortSignal,
  target: Target,
  act: (target: Target) => void,
): () => void {
  const weak = new WeakRef(target);
  const forget = onAbort(signal, () => {
    const alive = weak.deref();
    if (alive !== undefined) act(alive);
  });
  forgotten.register(target, forget, weak);
  return () => {
    forgotten.unregister(weak);
    forget();
  };
}
