/*
 * Time-outs. All that have the same length share one timer and one queue, in the order in which they began. All that are due at
 * the same time are reported in one call.
 */
import { type Link, List } from '../abort';
import { clearTimeout, kLongestMs, now, setTimeout } from '../timers';

interface Waiting<T> {
  readonly what: T;
  readonly until: number;
  readonly queue: Queue<T>;
}

/** The place of one time-out in its queue. */
export type Deadline<T> = Link<Waiting<T>>;

interface Queue<T> {
  readonly key: number;
  readonly list: List<Waiting<T>>;
  timer: NodeJS.Timeout;
}

/** Calls a function with everything that has timed out. */
export class Deadlines<T> {
  readonly #due: (list: List<T>) => void;
  readonly #queues = new Map<number, Queue<T>>();

  constructor(due: (list: List<T>) => void) {
    this.#due = due;
  }

  /**
   * Adds a time-out of `ms` milliseconds. `ref` false: it does not keep the process alive. Returns undefined for more than
   * 2^31 - 1 milliseconds, which never pass.
   */
  add(what: T, ms: number, ref: boolean): Deadline<T> | undefined {
    if (ms > kLongestMs) return undefined;
    const key = ref ? ms : -1 - ms;
    let queue = this.#queues.get(key);
    if (queue === undefined) {
      queue = { key, list: new List(), timer: this.#timer(key, ms) };
      this.#queues.set(key, queue);
    }
    return queue.list.add({ what, until: now() + ms, queue });
  }

  remove(deadline: Deadline<T>): void {
    const { queue } = deadline.value;
    if (!queue.list.remove(deadline) || queue.list.first !== undefined) return;
    clearTimeout(queue.timer);
    this.#queues.delete(queue.key);
  }

  #timer(key: number, ms: number): NodeJS.Timeout {
    const timer = setTimeout(() => this.#look(key), ms);
    if (key < 0) timer.unref();
    return timer;
  }

  #look(key: number): void {
    const queue = this.#queues.get(key)!;
    const { list } = queue;
    const time = now() + 1; // a timer counts whole milliseconds
    const due = new List<T>();
    for (let first = list.first; first !== undefined && first.value.until <= time; first = list.first) {
      list.remove(first);
      due.add(first.value.what);
    }
    if (list.first === undefined) this.#queues.delete(key);
    else queue.timer = this.#timer(key, Math.max(1, list.first.value.until - now()));
    if (due.first !== undefined) this.#due(due);
  }
}
