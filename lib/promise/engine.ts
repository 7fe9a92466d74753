/*
 * Promises over the engine: one slot per promise in flight, what one tick asks for goes down in one native call, completions
 * come back in batches with a budget per turn. What cannot block is done at once, with a budget per turn as well. Helpers
 * derive an Op and never see slots, batches or back-pressure.
 */

import { groupOf, inPortions, List, type SignalGroup } from '../abort';
import { AbortError, type OptionNames, SyscallError } from '../errors';
import {
  CallArgument,
  CallFact,
  CallRecord,
  DrainedResult,
  DrainedWord,
  Errno,
  StatFlag,
  Tries,
  Wire,
} from '../generated/wire';
import { onTurn } from '../memory/turn';
import { native } from '../native';
import { now, queueMicrotask, setImmediate, setTimeout, warnOf } from '../timers';
import { Deadlines } from './deadlines';
import { leaveLater } from './leaving';
import { type CommonOptions, checkCommonOptions, type Op, Phase, type Refusable, type StatTarget } from './op';

export {
  type CommonOptions,
  checkCommonOptions,
  isError,
  Op,
  Phase,
  type Refusable,
  type StatTarget,
  withCommon,
} from './op';

const kMaxInFlight = 65_536; // beyond it ops wait here, in order
const kDrainBatch = 1024;
const kDrainedAtOnce = 64; // between two looks at the clock: a rejection and who awaits it may take 20 us each
const kHarvest = 256; // results taken at once in the middle of a burst
const kHarvestInTurn = 131_072; // and in all before the next turn: some 30 ms that the caller's tick takes longer
const kTurnBudget = 4096; // completions in one turn of the loop; the rest after timers and I/O
const kTurnMs = 5; // likewise
const kMostSkipped = 65_536; // aborted ones that are passed over in one turn, in the queue of those that wait
const kTriesInTurn = 64; // ops tried at once in one turn of the loop: about a tenth of a millisecond
const kQuickInTurn = 4096; // calls that never block, made at once in one turn of the loop: about a millisecond
const kAhead = 1024; // stats of late that the pool has, in the middle of a burst: beyond it the burst's own thread does some,
const kLateMs = 10; // what the pool has not done by then is stuck, and says nothing of how far behind the pool is
const kHelpsInTurn = 16_384; // at most so many in one turn: some 30 ms
const kFew = 8; // so many are tried when a tick ends, or wait for the next turn; more go to the pool, where all cores work
const kMissesToPause = 4; // so many tries in vain in a row, and the next ones are left out
const kCallScratchBytes = 64 * 1024;
const kFirstLow = CallRecord.args + CallArgument.low; // in a record that is done: its result
const kFirstHigh = CallRecord.args + CallArgument.high;
const kHeldNumbers = 3;
const kRetryMs = 4; // from such an answer until it is asked again

/** From {@link Engine.tryStat}: it would block, or might; or its turn for being tried comes later. */
export const kNotNow: number = Wire.statNotNow;
export const kLater: number = kNotNow + 1;

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
  readonly #drained = new Uint32Array(kDrainBatch * DrainedResult.sizeInWords);
  readonly #harvested = new Uint32Array(kHarvest * DrainedResult.sizeInWords);
  #harvestLeft = kHarvestInTurn;
  #isHarvesting = false;
  #held: number[] = []; // harvested and not quiet: for the turn, three numbers each
  #heldFirst = 0;
  #inFlight = 0;
  #opened = false;
  #failure: Error | undefined;

  #waiting: Op[] = [];
  #waitingFirst = 0;
  #holdsLoop = false;

  readonly #deadlines = new Deadlines<Op>((due) => this.#end(due, (op) => op.timedOut(), now()));
  #endingSlots = new Uint32Array(64);
  #alone: Op[] = [];
  #stats: (Op & StatTarget)[] = [];
  readonly #statSlots = new Uint32Array(Wire.maxStatsInBatch);
  #statFlags = 0;

  readonly #records = new Uint8Array(kCallScratchBytes);
  readonly #recordWords = new Uint32Array(this.#records.buffer);
  #recordBytes = 0;
  #calls: (Op & Refusable)[] = [];
  #callPlaces: number[] = []; // of their records, in words

  #triesLeft = kTriesInTurn;
  #quickLeft = kQuickInTurn;
  #helpsLeft = kHelpsInTurn;
  /** Whether the last {@link tryStat} was made since the pool is behind: one of very many results. */
  isHelping = false;
  /* Stats that the pool has, of this span of time and of the one before; those of earlier spans count no more. */
  #span = 1;
  #spanBegan = 0;
  #sentInSpan = 0;
  #sentBefore = 0;
  #misses = 0; // in a row
  #pause = 0; // tries to leave out
  #trySlot = -1; // whose result record tryStat uses

  #droppedFromBatch = false;
  #flushScheduled = false;
  #immediateScheduled = false;
  /* Node hears a bell that rings during a turn before it lets the loop go on: of results and bells the loop has its share. */
  #isTurnUsed = false;
  #turnBegan = 0;
  #firstBell = 0; // when the first bell was heard since the loop is known to have turned; 0: none was
  readonly #flushCallback = (): void => {
    this.#flushScheduled = false;
    this.#flushTick();
  };
  readonly #turnCallback = (): void => {
    if (this.#isTurnUsed) return;
    this.#turn();
    if (this.#firstBell === 0) this.#firstBell = this.#turnBegan;
    if (this.#turnBegan - this.#firstBell > kTurnMs) this.#useTurn();
  };
  #isShort = false; // the last op that was given down came back: no thread, or no memory
  #retryScheduled = false;
  readonly #retryCallback = (): void => {
    this.#retryScheduled = false;
    this.#turn();
    native.endTurn();
  };
  readonly #immediateCallback = (): void => {
    this.#immediateScheduled = false;
    this.#isTurnUsed = false;
    this.#firstBell = 0;
    this.#turn();
    native.endTurn();
  };

  /** How many ops wait here for their turn: too many are in flight, or memory or threads are short. */
  get waiting(): number {
    return this.waitingElsewhere + this.#waiting.length - this.#waitingFirst;
  }

  /** Of those: what waits outside the queue, to begin again. */
  waitingElsewhere = 0;

  /** Starts an op, or lets it wait for its turn when too many are in flight. */
  start(op: Op): void {
    if (this.#inFlight >= kMaxInFlight || this.#waitingFirst < this.#waiting.length) {
      this.#waiting.push(op);
      if (op.referenced) this.#holdLoop();
      return;
    }
    this.#give(op);
  }

  /* Until nothing waits any more. */
  #holdLoop(): void {
    if (this.#holdsLoop) return;
    this.#holdsLoop = true;
    native.holdLoop(true);
  }

  /** Checks the options and hooks the op up to signal and timeout. Call before `start`; false: rejected already. */
  watch(op: Op, options: CommonOptions | undefined, known?: OptionNames): boolean {
    if (options === undefined) return true;
    checkCommonOptions(options, known);
    const { signal, timeout, ref } = options;
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

  /** Settles the promise now and lets the kernel finish the call without anybody listening. */
  abandon(op: Op, error: Error): void {
    if (op.phase === Phase.abandoned || op.phase === Phase.settled) return;
    this.#unwatch(op);
    const slot = this.#mark(op);
    if (slot >= 0) {
      this.#endingSlots[0] = slot;
      native.abandonSlots(this.#endingSlots, 1);
    }
    op.reject(error);
    if (this.#waitingFirst < this.#waiting.length) this.#scheduleTurn();
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
    let slots = this.#endingSlots;
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
        slots.set(this.#endingSlots);
        this.#endingSlots = slots;
      }
      slots[count++] = slot;
    }
    if (count > 0) native.abandonSlots(slots, count);
    inPortions(ops, this.#tell, began);
    if (this.#waitingFirst < this.#waiting.length) this.#scheduleTurn();
  }

  /* It never starts, or its result is unwanted. The slot that is to be abandoned, or -1. */
  #mark(op: Op): number {
    if (op.phase === Phase.submitted) {
      op.phase = Phase.abandoned;
      this.#inFlight--; // it may stay for ever: the others must not wait for it
      leaveLater(op);
      return op.cancel() ? -1 : op.slot;
    }
    if (op.phase === Phase.batched) {
      this.#droppedFromBatch = true; // the flush leaves it out: what is aborted before its start never runs
      this.release(op);
    }
    op.phase = Phase.settled;
    return -1;
  }

  /* Rejects the promise of one that has been marked, unless it has been. */
  readonly #tell = (op: Op): void => {
    const { watched } = op;
    if (watched?.error === undefined) return;
    this.#unwatch(op);
    this.#reject(op, watched.error(op));
  };

  #reject(op: Op, error: Error): void {
    try {
      op.reject(error);
    } catch (thrown) {
      warnOf(thrown); // a defect of ours, and no reason to lose what comes behind it
    }
  }

  #unwatch(op: Op): void {
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

  /** Ends an op that completed or could not be started. */
  settle(op: Op): void {
    this.#unwatch(op);
    op.phase = Phase.settled;
  }

  // ---- Slots and the queue of those that wait for one

  /* False: no call can be in flight in this environment, and `#failure` says why. Asked again by the next op. */
  #open(): boolean {
    try {
      onTurn(this.#turnCallback);
      this.#opened = true;
    } catch (error) {
      this.#failure = error as Error;
    }
    return this.#opened;
  }

  #grow(): boolean {
    const results = native.growSlots();
    if (results === null) return false;
    this.#statNumbers.push(new Float64Array(results));
    this.#statWords.push(new Uint32Array(results));
    this.#statIntegers.push(new BigInt64Array(results));
    const first = this.#ops.length;
    for (let i = Wire.slotChunk - 1; i >= 0; i--) this.#freeSlots.push(first + i);
    for (let i = 0; i < Wire.slotChunk; i++) this.#ops.push(undefined);
    return true;
  }

  #give(op: Op): void {
    if (!this.#opened && !this.#open()) {
      this.settle(op);
      op.reject(this.#failure!);
      return;
    }
    if (this.#freeSlots.length === 0 && !this.#grow()) {
      this.#postpone(op);
      return;
    }
    const slot = this.#freeSlots.pop()!;
    op.slot = slot;
    op.phase = Phase.batched;
    this.#ops[slot] = op;
    this.#inFlight++;
    if (op.watched !== undefined && op.goesAlone()) {
      this.#alone.push(op);
      this.#scheduleFlush();
    } else this.#submit(op);
  }

  /* What the op is made of belongs to the caller, and may throw: then nobody else is to suffer. */
  #submit(op: Op): void {
    let taken = true;
    try {
      taken = op.submit(this);
    } catch (error) {
      if (op.phase !== Phase.batched) {
        this.abandon(op, error as Error);
        return;
      }
      this.#droppedFromBatch = true; // perhaps it has got half of its record into one
      this.release(op);
      this.settle(op);
      this.#reject(op, error as Error);
    }
    if (!taken) this.#takeBack(op);
  }

  /* Those that go down by themselves, at the end of their tick: what was aborted in it never runs. */
  #flushAlone(): void {
    const ops = this.#alone;
    this.#alone = [];
    for (const op of ops) if (this.mayStart(op)) this.#submit(op);
  }

  /*
   * No thread or no memory just now: the op goes first when something completes, and something is asked again soon, with one op
   * as long as that is refused. Of several that are taken back the last goes first.
   */
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
    if (op.referenced) this.#holdLoop();
    this.#isShort = true;
    if (this.#retryScheduled) return;
    this.#retryScheduled = true;
    setTimeout(this.#retryCallback, kRetryMs).unref();
  }

  #pump(): void {
    if (this.#waitingFirst === this.#waiting.length) return;
    let moved = 0;
    let skipped = 0;
    while (
      this.#waitingFirst < this.#waiting.length &&
      this.#inFlight < kMaxInFlight &&
      moved < kTurnBudget &&
      skipped < kMostSkipped
    ) {
      const op = this.#waiting[this.#waitingFirst]!;
      this.#waiting[this.#waitingFirst++] = undefined as never;
      if (!this.mayStart(op)) {
        skipped++; // aborted while it waited
        continue;
      }
      moved++;
      const wasShort = this.#isShort;
      this.#isShort = false;
      this.#give(op);
      if (wasShort) this.flush();
      if (this.#isShort) break; // it is waiting again
    }
    if (this.#waitingFirst === this.#waiting.length) {
      this.#waiting = [];
      this.#waitingFirst = 0;
      this.flush();
      if (this.#holdsLoop && this.#waiting.length === 0) {
        this.#holdsLoop = false;
        native.holdLoop(false);
      }
    } else {
      if (moved >= kTurnBudget || skipped >= kMostSkipped) this.#scheduleTurn();
      if (this.#waitingFirst > kMaxInFlight && this.#waitingFirst * 2 > this.#waiting.length) {
        this.#waiting = this.#waiting.slice(this.#waitingFirst); // a queue that is never empty has an end all the same
        this.#waitingFirst = 0;
      }
    }
    this.flush();
  }

  #scheduleFlush(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    queueMicrotask(this.#flushCallback);
  }

  /** Sends down what has been gathered, all of it and now. */
  flush(): void {
    if (this.#alone.length > 0) this.#flushAlone();
    if (this.#stats.length > 0) this.#flushStats(Tries.nothing);
    if (this.#calls.length > 0) this.#flushCalls(Tries.quick);
  }

  /* The end of a tick. A few ops are tried, and wait for the next turn of the loop when this one has had its share of that. */
  #flushTick(): void {
    if (this.#alone.length > 0) this.#flushAlone();
    const few = this.#stats.length <= kFew && this.#calls.length <= kFew;
    if (this.#triesLeft <= 0 && few) {
      this.#scheduleTurn();
      return;
    }
    if (this.#stats.length > 0) this.#flushStats(few ? Tries.all : Tries.nothing);
    if (this.#calls.length > 0) this.#flushCalls(few ? Tries.all : Tries.quick);
  }

  /* Nothing more is brought before the loop has turned. */
  #useTurn(): void {
    this.#isTurnUsed = true;
    this.#scheduleTurn();
  }

  #scheduleTurn(): void {
    if (this.#immediateScheduled) return;
    this.#immediateScheduled = true;
    setImmediate(this.#immediateCallback);
  }

  // ---- At once

  /**
   * Tries a stat here and now: 0 (the result is in the records of slot {@link trySlot}), -errno, {@link kNotNow}, or
   * {@link kLater}: this turn of the loop has had its share.
   */
  tryStat(path: string, flags: number): number {
    this.isHelping = this.#triesLeft <= 0;
    if (this.isHelping && !this.#mayHelp()) return kLater;
    if (this.#trySlot < 0 && !this.#takeTrySlot()) return kNotNow;
    return this.#mayTry() ? this.#tried(native.tryStat(path, this.#trySlot * Wire.statPlaceSlot + flags)) : kNotNow;
  }

  /** The same for a descriptor. */
  tryFstat(fd: number, flags: number): number {
    if (this.#trySlot < 0 && !this.#takeTrySlot()) return kNotNow;
    if (this.#triesLeft <= 0 || !this.#mayTry()) return kNotNow;
    this.isHelping = false;
    return this.#tried(native.tryFstat(fd, this.#trySlot * Wire.statPlaceSlot + flags));
  }

  get trySlot(): number {
    return this.#trySlot;
  }

  #takeTrySlot(): boolean {
    if (!this.#opened && !this.#open()) return false;
    if (this.#freeSlots.length === 0 && !this.#grow()) return false;
    this.#trySlot = this.#freeSlots.pop()!;
    return true;
  }

  /*
   * In the middle of a burst, when the pool is behind by much: what waits there for long is moved about by the collector,
   * and this core would have nothing to do in the end.
   */
  #mayHelp(): boolean {
    if (this.#sentInSpan + this.#sentBefore < kAhead || this.#helpsLeft <= 0) return false;
    if (this.#helpsLeft === kHelpsInTurn) {
      this.#nextSpan(now());
      if (this.#sentInSpan + this.#sentBefore < kAhead) return false;
    }
    if ((--this.#helpsLeft & 63) === 0) this.#harvest();
    return true;
  }

  #countSent(op: StatTarget): void {
    op.sent = this.#span;
    this.#sentInSpan++;
  }

  #countBack(op: Op): void {
    const { sent } = op as Op & Partial<StatTarget>;
    if (sent === undefined) return;
    if (sent === this.#span) this.#sentInSpan--;
    else if (sent === this.#span - 1) this.#sentBefore--;
  }

  #nextSpan(time: number): void {
    if (time - this.#spanBegan < kLateMs) return;
    const isNext = time - this.#spanBegan < 10 * kLateMs;
    this.#spanBegan = time;
    this.#span += isNext ? 1 : 2;
    this.#sentBefore = isNext ? this.#sentInSpan : 0;
    this.#sentInSpan = 0;
  }

  #mayTry(): boolean {
    if (this.#pause === 0) return true;
    this.#pause--;
    return false;
  }

  #tried(result: number): number {
    this.#triesLeft--;
    if (result <= 0) {
      this.#misses = 0;
    } else if (++this.#misses >= kMissesToPause) {
      this.#pause = Math.min(this.#misses, 32);
    }
    return result;
  }

  // ---- The batch of stats

  /** For StatOps: adds a path to the batch. */
  addStat(op: Op & StatTarget): boolean {
    const flags = op.flags | (op.referenced ? 0 : StatFlag.unreferenced);
    if (this.#stats.length > 0 && flags !== this.#statFlags) this.#flushStats(Tries.nothing);
    this.#statFlags = flags;
    if (this.#stats.push(op) === Wire.maxStatsInBatch) {
      this.#flushStats(Tries.nothing);
      this.#harvest();
    } else this.#scheduleFlush();
    return true;
  }

  #flushStats(tries: number): void {
    let ops = this.#stats;
    this.#stats = [];
    for (const op of ops) if (op.watched !== undefined) this.mayStart(op);
    if (this.#droppedFromBatch) {
      ops = ops.filter((op) => op.phase === Phase.batched);
      if (this.#calls.length === 0) this.#droppedFromBatch = false;
    }
    if (tries === Tries.all && (this.#statFlags & StatFlag.tried) === 0) ops = this.#tryStats(ops);
    if (ops.length === 0) return;
    const paths: string[] = new Array(ops.length);
    for (let i = 0; i < ops.length; i++) {
      const op = ops[i]!;
      paths[i] = op.path;
      this.#statSlots[i] = op.slot;
    }
    const joined = paths.join('\0');
    const taken = native.submitStats(
      joined,
      ops.length,
      this.#statSlots,
      this.#statFlags & Wire.statPlaceFlags,
      joined.length,
    );
    for (let i = 0; i < taken; i++) {
      ops[i]!.phase = Phase.submitted;
      this.#countSent(ops[i]!);
    }
    for (let i = ops.length - 1; i >= taken; i--) this.#takeBack(ops[i]!);
  }

  /* Completes what can be had at once; the others are returned. */
  #tryStats(ops: (Op & StatTarget)[]): (Op & StatTarget)[] {
    const rest: (Op & StatTarget)[] = [];
    for (const op of ops) {
      if (op.phase !== Phase.batched) continue; // what has completed may abort others
      const may = this.#triesLeft > 0 && this.#mayTry();
      const result = may
        ? this.#tried(
            native.tryStat(
              op.path,
              op.slot * Wire.statPlaceSlot + (op.flags & (StatFlag.noFollow | StatFlag.integers)),
            ),
          )
        : kNotNow;
      if (result > 0) rest.push(op);
      else this.#complete(op, op.slot, result >>> 0, (result >> 31) >>> 0);
    }
    return this.#droppedFromBatch ? rest.filter((op) => op.phase === Phase.batched) : rest;
  }

  /** For fstat: one descriptor, at once. */
  submitFstat(op: Op, fd: number, flags: number, handle: number): boolean {
    if (native.submitFstat(fd, op.slot, flags | (op.referenced ? 0 : StatFlag.unreferenced), handle) === 0)
      return false;
    op.phase = Phase.submitted;
    return true;
  }

  /** The chunk of stat results that a slot's lies in, as numbers, words and integers; see {@link statOffset}. */
  statNumbers(slot: number): Float64Array {
    return this.#statNumbers[slot >> Wire.slotChunkBits]!;
  }
  statWords(slot: number): Uint32Array {
    return this.#statWords[slot >> Wire.slotChunkBits]!;
  }
  statIntegers(slot: number): BigInt64Array {
    return this.#statIntegers[slot >> Wire.slotChunkBits]!;
  }

  // ---- The batch of calls

  /**
   * For call ops: room for one record of `bytes` (a multiple of 8) in the batch, or -1 when it is larger than the whole
   * batch and must go down on its own.
   */
  addCall(op: Op & Refusable, bytes: number): number {
    if (bytes > kCallScratchBytes) return -1;
    if (this.#recordBytes + bytes > kCallScratchBytes) this.#flushCalls(Tries.quick);
    const at = this.#recordBytes;
    this.#recordBytes += bytes;
    this.#calls.push(op);
    this.#callPlaces.push(at >> 2);
    this.#scheduleFlush();
    return at;
  }
  get records(): Uint8Array {
    return this.#records;
  }
  get recordWords(): Uint32Array {
    return this.#recordWords;
  }

  #flushCalls(tries: number): void {
    const ops = this.#calls;
    const places = this.#callPlaces;
    const words = this.#recordWords;
    const bytes = this.#recordBytes;
    this.#calls = [];
    this.#callPlaces = [];
    this.#recordBytes = 0;
    for (const op of ops) if (op.watched !== undefined) this.mayStart(op);
    if (this.#droppedFromBatch) {
      for (let i = 0; i < ops.length; i++)
        if (ops[i]!.phase !== Phase.batched) words[places[i]! + CallRecord.facts]! |= CallFact.skip;
      if (this.#stats.length === 0) this.#droppedFromBatch = false;
    }
    const done = native.submitCalls(this.#records, bytes, this.#quickLeft > 0 ? tries : Tries.nothing);
    this.#triesLeft -= done;
    this.#quickLeft -= done;
    // The first that completes may lead to more calls, which are laid down in the same place. One alone is read by then.
    const answers = ops.length === 1 ? words : words.slice(0, bytes >> 2);
    let isShort = false;
    for (let i = 0; i < ops.length; i++) {
      const op = ops[i]!;
      if (op.phase !== Phase.batched) continue;
      const status = answers[places[i]! + CallRecord.status]! | 0;
      if (status === 0) op.phase = Phase.submitted;
      else if (status === -Errno.EAGAIN) isShort = true;
      else if (status === Wire.callDone) this.#unwatch(op); // whatever the first to complete may abort
    }
    for (let i = 0; i < ops.length; i++) {
      const op = ops[i]!;
      if (op.phase !== Phase.batched) continue;
      const at = places[i]!;
      const status = answers[at + CallRecord.status]! | 0;
      if (status === Wire.callDone) this.#complete(op, op.slot, answers[at + kFirstLow]!, answers[at + kFirstHigh]!);
      else if (status !== -Errno.EAGAIN) this.submitted(op, status);
    }
    if (!isShort) return;
    for (let i = ops.length - 1; i >= 0; i--) {
      if ((answers[places[i]! + CallRecord.status]! | 0) === -Errno.EAGAIN && ops[i]!.phase === Phase.batched)
        this.#takeBack(ops[i]!);
    }
  }

  /** What became of a record: 0, or -errno. */
  submitted(op: Op & Refusable, status: number): void {
    if (status === 0) {
      op.phase = Phase.submitted;
      return;
    }
    if (status === -Errno.EAGAIN) {
      this.#takeBack(op);
      return;
    }
    this.release(op);
    this.settle(op);
    try {
      op.refused(status);
    } catch (error) {
      this.#reject(op, error as Error);
    }
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
    const began = now();
    this.#turnBegan = began;
    let budget = kTurnBudget;
    this.#triesLeft = kTriesInTurn;
    this.#quickLeft = kQuickInTurn;
    this.#helpsLeft = kHelpsInTurn;
    this.#harvestLeft = kHarvestInTurn;
    this.#nextSpan(began);
    budget -= this.#takeHeld(budget);
    while (budget > 0) {
      const wanted = Math.min(kDrainedAtOnce, budget);
      const count = native.drain(out, wanted);
      for (let i = 0, at = 0; i < count; i++, at += DrainedResult.sizeInWords) {
        this.#arrived(out[at + DrainedResult.word]!, out[at + DrainedResult.low]!, out[at + DrainedResult.high]!);
      }
      budget -= count;
      if (count < wanted) break;
      if (now() - began > kTurnMs) budget = 0;
    }
    if (kTurnBudget - budget >= kDrainedAtOnce) this.#useTurn();
    this.#pump();
    if (this.#stats.length > 0 || this.#calls.length > 0) this.#flushTick();
  }

  /* Results that were harvested before their turn, in order. How many it took. */
  #takeHeld(budget: number): number {
    const held = this.#held;
    let at = this.#heldFirst;
    const most = at + budget * kHeldNumbers;
    for (; at < held.length && at < most; at += kHeldNumbers) this.#arrived(held[at]!, held[at + 1]!, held[at + 2]!);
    const taken = (at - this.#heldFirst) / kHeldNumbers;
    if (at < held.length) {
      this.#heldFirst = at;
    } else {
      this.#held = [];
      this.#heldFirst = 0;
    }
    return taken;
  }

  /*
   * In the middle of a burst: takes the results that are there. The promises get them early, so that what they needed on the
   * way is young when the collector finds it useless, and the slots of a small part of the burst serve all of it.
   */
  #harvest(): void {
    if (this.#harvestLeft <= 0 || this.#isHarvesting) return;
    this.#isHarvesting = true;
    const out = this.#harvested;
    const count = native.drain(out, kHarvest);
    this.#harvestLeft -= count;
    for (let i = 0, at = 0; i < count; i++, at += DrainedResult.sizeInWords) {
      const word = out[at + DrainedResult.word]!;
      const low = out[at + DrainedResult.low]!;
      const high = out[at + DrainedResult.high]!;
      if (this.#ops[word & DrainedWord.slot]?.quiet) this.#arrived(word, low, high);
      else this.#held.push(word, low, high);
    }
    this.#isHarvesting = false;
  }

  #arrived(word: number, low: number, high: number): void {
    const slot = word & DrainedWord.slot;
    const op = this.#ops[slot];
    if (op === undefined) return;
    op.watched?.group?.look(); // aborted, and we have not been told yet: it counts as rejected
    const unwanted = op.phase === Phase.abandoned;
    if (word !== slot) native.settleSlot(slot, unwanted, low, high);
    if (!unwanted) {
      this.#complete(op, slot, low, high);
      return;
    }
    this.#countBack(op);
    this.#tell(op); // before dispose(), which may say that the call is over
    op.phase = Phase.settled;
    try {
      op.dispose();
    } catch (error) {
      warnOf(error);
    }
    this.#ops[slot] = undefined;
    this.#freeSlots.push(slot);
  }

  /*
   * What completes may run code of the caller's, and may throw: a view whose buffer has been transferred, a callback. Then the
   * op rejects, and the others do not notice.
   */
  #complete(op: Op, slot: number, low: number, high: number): void {
    this.#inFlight--;
    this.#countBack(op);
    if (op.watched !== undefined) this.#unwatch(op);
    op.phase = Phase.settled;
    try {
      op.complete(low, high);
    } catch (error) {
      native.release(slot);
      this.#reject(op, error as Error);
    }
    this.#ops[slot] = undefined;
    this.#freeSlots.push(slot);
  }
}

/** The engine of this environment (main thread or Worker). */
export const engine = new Engine();

/** ETIMEDOUT, for {@link Op.timedOut}. */
export function timeoutError(syscall: string, path?: string): SyscallError {
  return new SyscallError(-Errno.ETIMEDOUT, syscall, path === undefined ? {} : { path });
}
