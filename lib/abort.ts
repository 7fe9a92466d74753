/*
 * Aborts: which ops and functions belong to which AbortSignal. Each signal has one listener, however many ops it has, because
 * Node warns of more than ten. An op joins and leaves its signal at a cost that does not depend on the number of the others.
 */
import { AbortError } from './errors';
import { kTurnMs, kTurnOps, now, setImmediate, warnOf } from './timers';

/** Whether a value is an AbortSignal of any realm. As in Node, its members decide and not its class. */
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

/** A doubly linked list: a member joins at the end and leaves from any place, each in constant time. */
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

  /** Takes a member out. False: the member has left already. */
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

const kLeast = 256; // members in each turn, however long other things took: docs/cancellation.md promises them

interface Notified<T> {
  readonly list: List<T>;
  readonly notify: (value: T) => void;
}

const queue = new List<Notified<never>>();
let leftMs = kTurnMs; // what it takes to mark the ops included
let left = kTurnOps;
let isNextTurnAsked = false;

/* The next turn of the loop has a portion of its own. */
function nextTurn(): void {
  isNextTurnAsked = false;
  leftMs = kTurnMs;
  left = kTurnOps;
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
  for (let place = queue.first; place !== undefined; place = queue.first) {
    const { list, notify } = place.value;
    while (list.first !== undefined) {
      if (left <= 0 || (kTurnOps - left >= kLeast && now() > until)) {
        leftMs = 0;
        return;
      }
      const link = list.first;
      list.remove(link);
      left--;
      notify(link.value);
    }
    queue.remove(place);
  }
  leftMs = until - now();
}

/**
 * Calls `notify` for each member of the list in order: for some now, for the others in later turns of the loop, 5 ms in each.
 * A member leaves the list before it is notified; a member that leaves by itself is not notified. `began` is the time since
 * when this turn of the loop has worked for the list. `notify` must not throw.
 */
export function inPortions<T>(list: List<T>, notify: (value: T) => void, began: number = now()): void {
  const isIdle = queue.first === undefined;
  queue.add({ list, notify } as unknown as Notified<never>);
  if (isIdle) notifySome(began);
}

// ---- Signals

/** All that one signal aborts: the ops of the promise engine (`Op`), and functions to be called. */
export class SignalGroup<Op = unknown> {
  readonly signal: AbortSignal;
  /** Ops that the signal aborts, the oldest first. */
  ops = new List<Op>();
  /** Called once, before all else, when the signal is aborted. It takes the list of ops over. */
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

  /** Call it after an op or a function has left its list: removes the listener when both lists are empty. */
  left(): void {
    if (!this.#listens || this.ops.first !== undefined || this.#acts.first !== undefined) return;
    this.#listens = false;
    this.#ask((signal) => signal.removeEventListener('abort', this.#listener));
  }

  /**
   * Whether the signal is aborted. If it is, all of its ops are marked now. Listeners of others may run before the listener of
   * this group, and start or complete an op.
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

  /** An AbortError. All errors of one signal share the stack of the first, because capturing a stack costs ten times the rest. */
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

  /* Asks the signal, which may be an object of the caller's that throws. An exception becomes a warning and disturbs no op. */
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

/** The group of a signal. Each signal has one, for all parts of acall. */
export function groupOf<Op>(signal: AbortSignal): SignalGroup<Op> {
  let group = groups.get(signal);
  if (group === undefined) groups.set(signal, (group = new SignalGroup<never>(signal)));
  return group as unknown as SignalGroup<Op>;
}

/** The error to reject with after the abort of a signal. */
export function abortError(signal: AbortSignal): AbortError {
  return groupOf(signal).error();
}

/**
 * Calls `act` when the signal is aborted, unless the returned function was called before. When a signal has very many such
 * functions, some are called in later turns of the loop. So code that must not run after an abort has to look at the signal.
 */
export function onAbort(signal: AbortSignal, act: () => void): () => void {
  const group = groupOf(signal);
  const link = group.addAct(act);
  return () => {
    if (link.list?.remove(link)) group.left();
  };
}

/** As {@link onAbort}, for a target that the signal must not keep alive: `act` is called with the target while it is alive. */
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
