/* Who wants to hear of an abort: one listener on each signal, however many ops it has. Node warns of more than ten. */

/* What one signal aborts. The listener is there while something is. */
class Watch {
  readonly #acts = new Set<() => void>();
  readonly #signal: AbortSignal;
  readonly #listener = (): void => {
    for (const act of [...this.#acts]) if (this.#acts.has(act)) act();
  };

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  add(act: () => void): void {
    if (this.#acts.size === 0) this.#signal.addEventListener('abort', this.#listener);
    this.#acts.add(act);
  }

  delete(act: () => void): void {
    if (this.#acts.delete(act) && this.#acts.size === 0) this.#signal.removeEventListener('abort', this.#listener);
  }
}

const watches = new WeakMap<AbortSignal, Watch>();
const forgotten = new FinalizationRegistry<() => void>((forget) => forget());

/** Calls `act` when the signal is aborted, unless the returned function was called before. */
export function onAbort(signal: AbortSignal, act: () => void): () => void {
  let watch = watches.get(signal);
  if (watch === undefined) watches.set(signal, (watch = new Watch(signal)));
  watch.add(act);
  return () => watch.delete(act);
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
