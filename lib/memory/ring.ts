/* AcallCompletionRing: head, nr and completion slots in arena memory; drain() claims the slots in the core. */

import { abortError, isAbortSignal, onAbort } from '../abort';
import { AbortError, checkInteger, checkOptions, invalidArgType, optionNames, outOfRange } from '../errors';
import { acallCompletionLayout, acallCompletionRingLayout } from '../generated/layout';
import { native, type RingHandle } from '../native';
import { clearTimeout, kLongestMs, setTimeout } from '../timers';
import { type Arena, addressOf, bytesAt, checkArena } from './arena';
import { onTurn } from './turn';

const kRingAlign = 16;
const kMaxSlots = 0xffffffff;
const kDrainBatch = 64;
const kWaitOptions = optionNames('min timeout signal');

/** Options of {@link AcallCompletionRing.wait}. */
export interface RingWaitOptions {
  /** How many completions to wait for; 1 by default. */
  min?: number;
  /** Milliseconds after which the promise resolves with what there is. */
  timeout?: number;
  /** Rejects the promise with an AbortError; no completion is consumed. */
  signal?: AbortSignal;
}

interface Waiting {
  readonly ring: AcallCompletionRing;
  readonly min: number;
  settle(count: number): void;
}

/* The waits of this environment. Each turn in which completions may have arrived looks at all of them. */
const waiting = new Set<Waiting>();
let listens = false;

function lookAtWaits(): void {
  for (const wait of waiting) wait.ring[checkWait](wait);
}

const checkWait = Symbol('checkWait');

/**
 * A completion ring in an arena: `head` u32, `nr` u32, then `nr` completion slots of 16 bytes. Completion n is stored in slot
 * n % nr. A slot whose cookie is not 0n has not been read. Nothing is overwritten: a completion without a free slot waits in a
 * backlog, in order (`overflows` counts them). See docs/abi.md.
 *
 * @example
 * const ring = new AcallCompletionRing(arena, 256);
 * // ... submit ops that name ring.address ...
 * await ring.wait({ min: 1 });
 * ring.drain((cookie, return_code) => console.log(cookie, return_code));
 */
export class AcallCompletionRing {
  /** Native address of the ring, for `completion_ring_pointer`. */
  readonly address: bigint;
  /** Number of completion slots. */
  readonly nr: number;
  readonly #head: Uint32Array;
  readonly #slots: BigInt64Array;
  readonly #handle: RingHandle;
  #scratch: BigInt64Array | undefined;

  /**
   * Allocates a ring of `nr` slots, 8 + 16·nr bytes.
   *
   * @throws ERR_OUT_OF_RANGE for an `nr` below 1, or when the arena has no room
   */
  constructor(arena: Arena, nr: number);
  /** @internal */
  constructor(arena: Arena, nr: number, existing: bigint);
  constructor(arena: Arena, nr: number, existing?: bigint) {
    checkArena(arena);
    let address: bigint;
    if (existing === undefined) {
      checkInteger(nr, 'nr', 1, kMaxSlots);
      const bytes = arena.alloc(acallCompletionRingLayout.size + nr * acallCompletionLayout.size, kRingAlign);
      address = addressOf(bytes);
      new Uint32Array(arena.buffer, bytes.byteOffset, 2)[1] = nr;
    } else address = existing;
    const whole = bytesAt(arena, address, acallCompletionRingLayout.size + nr * acallCompletionLayout.size);
    this.address = address;
    this.nr = nr;
    this.#head = new Uint32Array(arena.buffer, whole.byteOffset, 2);
    this.#slots = new BigInt64Array(arena.buffer, whole.byteOffset + acallCompletionRingLayout.comps, nr * 2);
    this.#handle = native.ringOpen(address, existing === undefined);
  }

  /**
   * The ring at `address` of the arena, for instance one that another Worker has made.
   *
   * @throws ERR_OUT_OF_RANGE when no ring fits there, its nr is 0, or `address` is no multiple of 8; ERR_INVALID_ARG_TYPE
   */
  static from(arena: Arena, address: bigint): AcallCompletionRing {
    checkArena(arena);
    if (typeof address !== 'bigint') throw invalidArgType('address', 'of type bigint', address);
    const head = bytesAt(arena, address, acallCompletionRingLayout.size);
    if (address % 8n !== 0n) throw outOfRange('address', 'a multiple of 8', address);
    const nr = new DataView(head.buffer, head.byteOffset).getUint32(acallCompletionRingLayout.nr, true);
    if (nr === 0) throw outOfRange('nr', '>= 1', nr);
    return new AcallCompletionRing(arena, nr, address);
  }

  /** Number of completions stored so far, modulo 2^32. */
  get head(): number {
    return Atomics.load(this.#head, 0);
  }

  /** The number of completions that found no free slot and waited in the backlog. */
  get overflows(): number {
    return native.ringOverflows(this.#handle);
  }

  /**
   * The content of one completion slot. `return_code` means something once `cookie` is not 0n.
   *
   * @param slot 0 to nr - 1
   * @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE
   */
  comps(slot: number): { return_code: bigint; cookie: bigint } {
    checkInteger(slot, 'slot', 0, this.nr - 1);
    const cookie = BigInt.asUintN(64, Atomics.load(this.#slots, slot * 2 + 1));
    return { return_code: Atomics.load(this.#slots, slot * 2), cookie };
  }

  /**
   * Visits completions, oldest first, and frees their slots. Several Workers may drain one ring; each completion goes to exactly
   * one of them. A slot is copied and freed before its visit. A visit that throws ends the drain, and the rest stays.
   *
   * @param visit called with the cookie and the result of each completion
   * @param max at most so many; all that there are by default
   * @returns how many were visited
   * @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE; and what `visit` throws
   *
   * @example
   * ring.drain((cookie, return_code) => console.log(cookie, return_code));
   */
  drain(visit: (cookie: bigint, return_code: bigint) => void, max: number = Number.POSITIVE_INFINITY): number {
    if (typeof visit !== 'function') throw invalidArgType('visit', 'of type function', visit);
    if (max !== Number.POSITIVE_INFINITY) checkInteger(max, 'max', 0, Number.MAX_SAFE_INTEGER);
    const scratch = this.#scratch ?? new BigInt64Array(kDrainBatch * 2);
    this.#scratch = undefined; // a visit may drain this ring itself
    let visited = 0;
    try {
      while (visited < max) {
        const count = native.ringDrain(this.#handle, scratch, Math.min(kDrainBatch, max - visited));
        let next = 0;
        try {
          while (next < count) {
            const at = next++ * 2;
            visit(BigInt.asUintN(64, scratch[at + 1]!), scratch[at]!);
          }
        } finally {
          visited += next;
          if (next < count) native.ringReturn(this.#handle, scratch, next, count - next);
        }
        if (count < kDrainBatch) break;
      }
    } finally {
      this.#scratch = scratch;
    }
    return visited;
  }

  /**
   * Waits until at least `min` completions can be drained, or the ring is full, and resolves with their number. After `timeout`
   * it resolves with the number at that time, which may be 0. It does not block the event loop and consumes nothing. A wait does
   * not keep the process alive; the ops in flight do.
   *
   * Rejects with an AbortError for `signal`, and with ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE or ERR_OUT_OF_RANGE for wrong
   * options.
   *
   * @example
   * const ready = await ring.wait({ min: 8, timeout: 100 });
   */
  wait(options: RingWaitOptions = {}): Promise<number> {
    return new Promise((resolve, reject) => {
      checkOptions(options, kWaitOptions);
      const { min = 1, timeout, signal } = options;
      checkInteger(min, 'options.min', 0, Number.MAX_SAFE_INTEGER);
      if (timeout !== undefined && timeout !== Number.POSITIVE_INFINITY) {
        if (typeof timeout !== 'number') throw invalidArgType('options.timeout', 'of type number', timeout);
        if (!(timeout >= 0)) throw outOfRange('options.timeout', '>= 0', timeout);
      }
      if (signal !== undefined && !isAbortSignal(signal)) {
        throw invalidArgType('options.signal', 'an instance of AbortSignal', signal);
      }
      if (signal?.aborted) throw new AbortError(signal.reason);
      let timer: NodeJS.Timeout | undefined;
      const end = (): void => {
        waiting.delete(wait);
        clearTimeout(timer);
        forget?.();
        this.#watch();
      };
      const abort = (): void => {
        end();
        reject(abortError(signal!));
      };
      const wait: Waiting = {
        ring: this,
        min,
        settle: (count) => {
          if (signal?.aborted) return abort();
          end();
          resolve(count);
        },
      };
      if (!listens) {
        onTurn(lookAtWaits);
        listens = true;
      }
      waiting.add(wait);
      if (timeout !== undefined && timeout <= kLongestMs) {
        timer = setTimeout(() => wait.settle(native.ringAvailable(this.#handle)), timeout);
      }
      const forget = signal && onAbort(signal, abort);
      this.#watch();
      this[checkWait](wait);
    });
  }

  /** @internal */
  [checkWait](wait: Waiting): void {
    const available = native.ringAvailable(this.#handle);
    if (available >= wait.min || (available > 0 && this.#isFull())) wait.settle(available);
  }

  #isFull(): boolean {
    return Atomics.load(this.#slots, (this.head % this.nr) * 2 + 1) !== 0n;
  }

  /* Asks the core for a bell as soon as the ring holds as many completions as the least demanding wait needs. */
  #watch(): void {
    let least = Number.POSITIVE_INFINITY;
    for (const wait of waiting) if (wait.ring === this) least = Math.min(least, wait.min);
    native.ringWatch(this.#handle, least === Number.POSITIVE_INFINITY ? 0 : Math.max(1, least));
  }

  /** From now on ops that name this ring keep the event loop alive, also ops in flight. A new ring is in this state. */
  ref(): this {
    native.ringReference(this.#handle, true);
    return this;
  }

  /** From now on ops that name this ring do not keep the event loop alive. */
  unref(): this {
    native.ringReference(this.#handle, false);
    return this;
  }

  /** @internal */
  static handleOf(ring: AcallCompletionRing): RingHandle {
    return ring.#handle;
  }
}

/** @internal The native ring of an AcallCompletionRing. @throws ERR_INVALID_ARG_TYPE for anything else */
export function ringHandle(ring: unknown): RingHandle {
  if (!(ring instanceof AcallCompletionRing)) throw invalidArgType('ring', 'an instance of AcallCompletionRing', ring);
  return AcallCompletionRing.handleOf(ring);
}
