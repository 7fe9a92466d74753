/* The stats of one tick: their paths are joined and submitted in one native call. A few run inline before that. */
import { InlineCalls, StatFlag, Wire } from '../generated/wire';
import { native } from '../native';
import type { Abandon } from './abandon';
import type { InlineBudget } from './inline-budget';
import { joinPaths } from './joined-paths';
import { type Op, Phase, type StatTarget } from './op';
import type { PoolLag } from './pool-lag';
import type { Results } from './results';
import type { Waiting } from './waiting';

type StatOp = Op & StatTarget;

const isBatched = (op: Op): boolean => op.phase === Phase.batched;

/** Gathers stats with the same flags, up to Wire.maxStatsInBatch of them. */
export class StatBatch {
  readonly #abandon: Abandon;
  readonly #budget: InlineBudget;
  readonly #lag: PoolLag;
  readonly #results: Results;
  readonly #waiting: Waiting;
  #ops: StatOp[] = [];
  #flags = 0; // of all of them
  readonly #slots = new Uint32Array(Wire.maxStatsInBatch);

  constructor(abandon: Abandon, budget: InlineBudget, lag: PoolLag, results: Results, waiting: Waiting) {
    this.#abandon = abandon;
    this.#budget = budget;
    this.#lag = lag;
    this.#results = results;
    this.#waiting = waiting;
  }

  get length(): number {
    return this.#ops.length;
  }

  /** Adds an op. A full batch is submitted at once. */
  add(op: StatOp): void {
    const flags = op.flags | (op.referenced ? 0 : StatFlag.unreferenced);
    if (this.#ops.length > 0 && flags !== this.#flags) this.flush(InlineCalls.none);
    this.#flags = flags;
    if (this.#ops.push(op) < Wire.maxStatsInBatch) return;
    this.flush(InlineCalls.none);
    this.#results.harvest();
  }

  /** Submits the batch. With `InlineCalls.all` the stats are tried inline first. */
  flush(inlineCalls: number): void {
    let ops = this.#ops;
    if (ops.length === 0) return;
    this.#ops = [];
    for (const op of ops) if (op.watched !== undefined) this.#abandon.mayStart(op);
    if (!ops.every(isBatched)) ops = ops.filter(isBatched); // an op that was aborted never runs
    if (inlineCalls === InlineCalls.all && (this.#flags & StatFlag.notInline) === 0) ops = this.#inline(ops);
    if (ops.length === 0) return;
    const paths: (string | Uint8Array)[] = new Array(ops.length);
    for (let i = 0; i < ops.length; i++) {
      const op = ops[i]!;
      paths[i] = op.path;
      this.#slots[i] = op.slot;
    }
    const joined = joinPaths(paths);
    const flags = this.#flags & Wire.statPlaceFlags;
    const taken = native.submitStats(joined, ops.length, this.#slots, flags, joined.length);
    for (let i = 0; i < taken; i++) {
      ops[i]!.phase = Phase.submitted;
      this.#lag.sent(ops[i]!);
    }
    for (let i = ops.length - 1; i >= taken; i--) this.#waiting.takeBack(ops[i]!);
  }

  /* Completes the stats that succeed or fail inline, and returns the others. */
  #inline(ops: StatOp[]): StatOp[] {
    const rest: StatOp[] = [];
    for (const op of ops) {
      if (op.phase !== Phase.batched) continue; // the completion of one op may abort another
      const result = this.#try(op);
      if (result > 0) rest.push(op);
      else this.#results.complete(op, result >>> 0, (result >> 31) >>> 0);
    }
    return rest.every(isBatched) ? rest : rest.filter(isBatched);
  }

  #try(op: StatOp): number {
    if (!this.#budget.mayCall || !this.#budget.isWorthwhile()) return Wire.statNotNow;
    const flags = op.flags & (StatFlag.noFollow | StatFlag.integers);
    const result = native.inlineStat(op.path, op.slot * Wire.statPlaceSlot + flags);
    this.#budget.made(result <= 0);
    return result;
  }
}
