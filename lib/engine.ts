/*
 * Promises over the engine: one slot per promise in flight, what one tick asks for goes down in one native call, completions
 * come back in batches with a budget per turn. Helpers derive an Op and never see slots, batches or back-pressure.
 */
import { onAbort } from './abort';
import { AbortError, invalidArgType, outOfRange, SyscallError } from './errors';
import { onTurn } from './memory/turn';
import { native } from './native';

/** Options that every promise call takes. */
export interface CommonOptions {
  /** Rejects the promise with an AbortError within one turn of the loop and cancels the call. */
  signal?: AbortSignal | undefined;
  /** Milliseconds for the whole call; then the promise rejects with a SyscallError ETIMEDOUT and the call is cancelled. */
  timeout?: number | undefined;
  /** false: the call in flight does not keep the process alive. */
  ref?: boolean | undefined;
}

const kMaxInFlight = 65_536; // beyond it ops wait here, in order
const kBatch = 128; // so many waiting stats go down at once, within the tick
const kDrainBatch = 1024;
const kTurnBudget = 4096; // completions in one turn of the loop; the rest after timers and I/O
const kSlotChunkBits = 12; // native/binding/addon.h
const kSlotMask = 0x7fffffff; // of a slot word that drain() brings; the bit above: the result carries descriptors
const kCallScratchBytes = 64 * 1024;
const kTryAgain = -11; // -EAGAIN
const kSkip = 4; // CallRecord.facts in native/binding/promise.cc

/* Flags of submitStats: native/binding/promise.cc */
export const kNoFollow = 1;
export const kIntegers = 2;
const kUnreferenced = 4;

/** Where an op is. `abandoned`: its promise is settled and the kernel still has the call. */
enum Phase {
  waiting,
  batched,
  submitted,
  abandoned,
  settled,
}

/** One promise in flight. Derived classes say what to submit and what a result means. */
export abstract class Op {
  slot = -1;
  phase: Phase = Phase.waiting;
  referenced = true;
  /** Set by {@link Engine.watch}: undoes what signal and timeout registered. */
  unwatch: (() => void) | undefined = undefined;

  /** Puts the op into the engine's current batch; its slot is given. False: no memory, it will be asked again. */
  abstract submit(engine: Engine): boolean;
  /** The result has arrived, as two halves of 64 bits. The slot is free after this. */
  abstract complete(low: number, high: number): void;
  abstract reject(error: Error): void;
  /** The call's name and paths, for a time-out's error. */
  abstract timedOut(): Error;
  /** A result that nobody takes has arrived; descriptors that it carried are being closed. The slot is free after this. */
  dispose(): void {}
  /** Asks the kernel to let go of a submitted op whose result nobody wants any more. */
  cancel(): void {
    native.abandonSlot(this.slot);
  }
}

/** True for the halves of -1 .. -4095. */
export function isError(low: number, high: number): boolean {
  return high === 0xffffffff && low >= 0xfffff001;
}

/** Throws ERR_INVALID_ARG_TYPE or ERR_OUT_OF_RANGE for common options that are none. */
export function checkCommonOptions(options: CommonOptions): void {
  if (typeof options !== 'object' || options === null) throw invalidArgType('options', 'of type object', options);
  const { signal, timeout, ref } = options;
  if (ref !== undefined && typeof ref !== 'boolean') throw invalidArgType('options.ref', 'of type boolean', ref);
  if (timeout !== undefined && typeof timeout !== 'number')
    throw invalidArgType('options.timeout', 'of type number', timeout);
  if (timeout !== undefined && !(timeout >= 0)) throw outOfRange('options.timeout', '>= 0', timeout);
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw invalidArgType('options.signal', 'an instance of AbortSignal', signal);
  }
}

/** What a batch of paths to stat needs of its ops. */
export interface StatTarget {
  readonly path: string;
  readonly flags: number;
}

/**
 * The promise engine of this environment. One instance, `engine`; its rooms are the batch of stats, the batch of calls, the
 * queue of ops that wait for a slot, and the turn that brings results.
 */
export class Engine {
  readonly #ops: (Op | undefined)[] = [];
  readonly #freeSlots: number[] = [];
  readonly #statNumbers: Float64Array[] = [];
  readonly #statWords: Uint32Array[] = [];
  readonly #statIntegers: BigInt64Array[] = [];
  readonly #drained = new Uint32Array(kDrainBatch * 3);
  #inFlight = 0;
  /** How many results this turn of the loop has brought so far. */
  completedInTurn = 0;
  #opened = false;

  #waiting: Op[] = [];
  #waitingFirst = 0;
  #holdsLoop = false;

  #stats: (Op & StatTarget)[] = [];
  readonly #statSlots = new Uint32Array(kBatch);
  #statFlags = 0;

  readonly #records = new Uint8Array(kCallScratchBytes);
  readonly #recordWords = new Uint32Array(this.#records.buffer);
  #recordBytes = 0;
  #calls: { op: Op; at: number; refused(errno: number): void }[] = [];

  #droppedFromBatch = false;
  #flushScheduled = false;
  #immediateScheduled = false;
  readonly #flushCallback = (): void => {
    this.#flushScheduled = false;
    this.flush();
  };
  readonly #turnCallback = (): void => {
    this.#turn();
  };
  readonly #immediateCallback = (): void => {
    this.#immediateScheduled = false;
    this.#turn();
  };

  /** Starts an op, or lets it wait for its turn when too many are in flight. */
  start(op: Op): void {
    if (this.#inFlight >= kMaxInFlight || this.#waitingFirst < this.#waiting.length) {
      this.#waiting.push(op);
      if (op.referenced && !this.#holdsLoop) {
        this.#holdsLoop = true;
        native.holdLoop(true);
      }
      return;
    }
    this.#give(op);
  }

  /** Checks the common options and hooks the op up to signal and timeout. Call before `start`; false: rejected already. */
  watch(op: Op, options: CommonOptions | undefined): boolean {
    if (options === undefined) return true;
    checkCommonOptions(options);
    const { signal, timeout, ref } = options;
    if (ref === false) op.referenced = false;
    if (signal?.aborted) {
      op.phase = Phase.settled;
      op.reject(new AbortError(signal.reason));
      return false;
    }
    if (signal === undefined && (timeout === undefined || timeout > 0x7fffffff)) return true;
    const forget = signal && onAbort(signal, () => this.abandon(op, new AbortError(signal.reason)));
    let timer: NodeJS.Timeout | undefined;
    if (timeout !== undefined && timeout <= 0x7fffffff) {
      timer = setTimeout(() => this.abandon(op, op.timedOut()), timeout);
      if (ref === false) timer.unref();
    }
    op.unwatch = () => {
      forget?.();
      clearTimeout(timer);
    };
    return true;
  }

  /** Settles the promise now and lets the kernel finish the call without anybody listening. */
  abandon(op: Op, error: Error): void {
    if (op.phase === Phase.abandoned || op.phase === Phase.settled) return;
    op.unwatch?.();
    op.unwatch = undefined;
    if (op.phase === Phase.submitted) {
      op.phase = Phase.abandoned;
      this.#inFlight--; // it may stay for ever: the others must not wait for it
      op.cancel();
    } else {
      if (op.phase === Phase.batched) {
        this.#droppedFromBatch = true; // the flush leaves it out: what is aborted before its start never runs
        this.release(op);
      }
      op.phase = Phase.settled;
    }
    op.reject(error);
    this.#pump();
  }

  /** Ends an op that completed or could not be started. */
  settle(op: Op): void {
    op.unwatch?.();
    op.unwatch = undefined;
    op.phase = Phase.settled;
  }

  // ---- Slots and the queue of those that wait for one

  #open(): void {
    this.#opened = true;
    onTurn(this.#turnCallback);
  }

  #grow(): boolean {
    const results = native.growSlots();
    if (results === null) return false;
    this.#statNumbers.push(new Float64Array(results));
    this.#statWords.push(new Uint32Array(results));
    this.#statIntegers.push(new BigInt64Array(results));
    const first = this.#ops.length;
    for (let i = (1 << kSlotChunkBits) - 1; i >= 0; i--) this.#freeSlots.push(first + i);
    for (let i = 0; i < 1 << kSlotChunkBits; i++) this.#ops.push(undefined);
    return true;
  }

  #give(op: Op): void {
    if (!this.#opened) this.#open();
    if (this.#freeSlots.length === 0 && !this.#grow()) {
      this.#postpone(op);
      return;
    }
    const slot = this.#freeSlots.pop()!;
    op.slot = slot;
    op.phase = Phase.batched;
    this.#ops[slot] = op;
    this.#inFlight++;
    if (!op.submit(this)) this.#takeBack(op);
  }

  /* No memory just now: the op goes first when something completes, and something is asked again soon. */
  #takeBack(op: Op): void {
    this.#ops[op.slot] = undefined;
    this.#freeSlots.push(op.slot);
    this.#inFlight--;
    this.#postpone(op);
  }

  #postpone(op: Op): void {
    op.phase = Phase.waiting;
    op.slot = -1;
    if (this.#waitingFirst > 0) this.#waiting[--this.#waitingFirst] = op;
    else this.#waiting.unshift(op);
    const timer = setTimeout(this.#turnCallback, 1);
    if (!op.referenced) timer.unref();
  }

  #pump(): void {
    if (this.#waitingFirst === this.#waiting.length) return;
    let moved = 0;
    while (this.#waitingFirst < this.#waiting.length && this.#inFlight < kMaxInFlight && moved++ < kTurnBudget) {
      const op = this.#waiting[this.#waitingFirst]!;
      this.#waiting[this.#waitingFirst++] = undefined as never;
      if (op.phase !== Phase.waiting) continue; // aborted while it waited
      const before = this.#waitingFirst;
      this.#give(op);
      if (this.#waitingFirst < before) break; // postponed
    }
    if (this.#waitingFirst === this.#waiting.length) {
      this.#waiting = [];
      this.#waitingFirst = 0;
      if (this.#holdsLoop) {
        this.#holdsLoop = false;
        this.flush();
        native.holdLoop(false);
      }
    }
    this.flush();
  }

  #scheduleFlush(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    queueMicrotask(this.#flushCallback);
  }

  /** Sends down what this tick has gathered. */
  flush(): void {
    if (this.#stats.length > 0) this.#flushStats();
    if (this.#calls.length > 0) this.#flushCalls();
    this.#droppedFromBatch = false;
  }

  // ---- The batch of stats

  /** For StatOps: adds a path to the batch. */
  addStat(op: Op & StatTarget): boolean {
    const flags = op.flags | (op.referenced ? 0 : kUnreferenced);
    if (this.#stats.length > 0 && flags !== this.#statFlags) this.#flushStats();
    this.#statFlags = flags;
    this.#statSlots[this.#stats.length] = op.slot;
    if (this.#stats.push(op) === kBatch) this.#flushStats();
    else this.#scheduleFlush();
    return true;
  }

  #flushStats(): void {
    let ops = this.#stats;
    this.#stats = [];
    if (this.#droppedFromBatch) {
      ops = ops.filter((op) => op.phase === Phase.batched);
      for (let i = 0; i < ops.length; i++) this.#statSlots[i] = ops[i]!.slot;
      if (ops.length === 0) return;
    }
    const paths: string[] = new Array(ops.length);
    for (let i = 0; i < ops.length; i++) paths[i] = ops[i]!.path;
    const joined = paths.join('\0');
    const taken = native.submitStats(joined, ops.length, this.#statSlots, this.#statFlags, joined.length);
    for (let i = 0; i < taken; i++) ops[i]!.phase = Phase.submitted;
    for (let i = ops.length - 1; i >= taken; i--) this.#takeBack(ops[i]!);
  }

  /** For fstat: one descriptor, at once. */
  submitFstat(op: Op, fd: number, flags: number): boolean {
    if (native.submitFstat(fd, op.slot, flags | (op.referenced ? 0 : kUnreferenced)) === 0) return false;
    op.phase = Phase.submitted;
    return true;
  }

  /** The chunk of stat results that a slot's lies in, as numbers, words and integers; see {@link statOffset}. */
  statNumbers(slot: number): Float64Array {
    return this.#statNumbers[slot >> kSlotChunkBits]!;
  }
  statWords(slot: number): Uint32Array {
    return this.#statWords[slot >> kSlotChunkBits]!;
  }
  statIntegers(slot: number): BigInt64Array {
    return this.#statIntegers[slot >> kSlotChunkBits]!;
  }

  // ---- The batch of calls

  /**
   * For call ops: room for one record of `bytes` (a multiple of 8) in the batch, or -1 when it is larger than the whole
   * batch and must go down on its own. `refused` is called when the engine does not take it.
   */
  addCall(op: Op, bytes: number, refused: (errno: number) => void): number {
    if (bytes > kCallScratchBytes) return -1;
    if (this.#recordBytes + bytes > kCallScratchBytes) this.#flushCalls();
    const at = this.#recordBytes;
    this.#recordBytes += bytes;
    this.#calls.push({ op, at, refused });
    this.#scheduleFlush();
    return at;
  }
  get records(): Uint8Array {
    return this.#records;
  }
  get recordWords(): Uint32Array {
    return this.#recordWords;
  }

  #flushCalls(): void {
    const calls = this.#calls;
    const bytes = this.#recordBytes;
    this.#calls = [];
    this.#recordBytes = 0;
    if (this.#droppedFromBatch) {
      for (const { op, at } of calls) if (op.phase !== Phase.batched) this.#recordWords[(at >> 2) + 4]! |= kSkip;
    }
    native.submitCalls(this.#records, bytes);
    const statuses = calls.map(({ at }) => this.#recordWords[(at >> 2) + 6]! | 0);
    for (let i = 0; i < calls.length; i++) {
      const { op, refused } = calls[i]!;
      if (op.phase === Phase.batched) this.submitted(op, statuses[i]!, refused);
    }
  }

  /** What became of a record: 0, or -errno. */
  submitted(op: Op, status: number, refused: (errno: number) => void): void {
    if (status === 0) {
      op.phase = Phase.submitted;
      return;
    }
    if (status === kTryAgain) {
      this.#takeBack(op);
      return;
    }
    this.release(op);
    this.settle(op);
    refused(status);
  }

  /** For ops that go down by themselves (jobs): the native side has taken the slot. */
  begun(op: Op): void {
    op.phase = Phase.submitted;
  }

  /** The slot of an op that will not complete. */
  release(op: Op): void {
    this.#ops[op.slot] = undefined;
    this.#freeSlots.push(op.slot);
    this.#inFlight--;
  }

  // ---- The turn

  #turn(): void {
    const out = this.#drained;
    let budget = kTurnBudget;
    this.completedInTurn = 0;
    for (;;) {
      const count = native.drain(out, Math.min(kDrainBatch, budget));
      for (let i = 0, at = 0; i < count; i++, at += 3) {
        const word = out[at]!;
        const slot = word & kSlotMask;
        const op = this.#ops[slot];
        if (op === undefined) continue;
        if (word !== slot) native.settleSlot(slot, op.phase === Phase.abandoned, out[at + 1]!, out[at + 2]!);
        if (op.phase === Phase.abandoned) {
          op.dispose();
          op.phase = Phase.settled;
        } else {
          this.#inFlight--;
          if (op.unwatch !== undefined) {
            op.unwatch();
            op.unwatch = undefined;
          }
          op.phase = Phase.settled;
          this.completedInTurn++;
          op.complete(out[at + 1]!, out[at + 2]!);
        }
        this.#ops[slot] = undefined;
        this.#freeSlots.push(slot);
      }
      budget -= count;
      if (count < kDrainBatch) break;
      if (budget <= 0) {
        if (!this.#immediateScheduled) {
          this.#immediateScheduled = true;
          setImmediate(this.#immediateCallback);
        }
        break;
      }
    }
    this.#pump();
  }
}

/** The engine of this environment (main thread or Worker). */
export const engine = new Engine();

/** ETIMEDOUT, for {@link Op.timedOut}. */
export function timeoutError(syscall: string, path?: string): SyscallError {
  return new SyscallError(-110, syscall, path === undefined ? {} : { path });
}
