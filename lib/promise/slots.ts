/*
 * The slots of the promise layer, in JavaScript: which op has which slot, how many ops are in flight, and the memory that stat
 * results are written to. native/core/submit/promise_slots.h has the other half.
 */
import { Wire } from '../generated/wire';
import { onTurn } from '../memory/turn';
import { native, type Slot } from '../native';
import { kNoSlot, type Op, Phase } from './op';

/** The slots of this environment: a free list, the op of each slot, and views over the memory of their stat results. */
export class Slots {
  readonly #ops: (Op | undefined)[] = [];
  readonly #free: Slot[] = [];
  readonly #numbers: Float64Array[] = [];
  readonly #words: Uint32Array[] = [];
  readonly #integers: BigInt64Array[] = [];
  readonly #bell: () => void;
  #isOpen = false;
  /** Ops that have a slot and whose result somebody wants. */
  inFlight = 0;

  /** `bell` is called on the event loop when results may have arrived. */
  constructor(bell: () => void) {
    this.#bell = bell;
  }

  /** Prepares this environment for ops. Returns the error when that fails; the next op then tries again. */
  open(): Error | undefined {
    if (this.#isOpen) return undefined;
    try {
      onTurn(this.#bell);
    } catch (error) {
      return error as Error;
    }
    this.#isOpen = true;
    return undefined;
  }

  /** A free slot, or {@link kNoSlot}: there is no memory for more. */
  take(): Slot {
    return this.#free.length > 0 || this.#grow() ? this.#free.pop()! : kNoSlot;
  }

  #grow(): boolean {
    const results = native.growSlots();
    if (results === null) return false;
    this.#numbers.push(new Float64Array(results));
    this.#words.push(new Uint32Array(results));
    this.#integers.push(new BigInt64Array(results));
    const first = this.#ops.length;
    for (let i = Wire.slotChunk - 1; i >= 0; i--) this.#free.push((first + i) as Slot);
    for (let i = 0; i < Wire.slotChunk; i++) this.#ops.push(undefined);
    return true;
  }

  /** Gives the slot to the op, until `free` or `release`. */
  assign(slot: Slot, op: Op): void {
    op.slot = slot;
    op.phase = Phase.batched;
    this.#ops[slot] = op;
    this.inFlight++;
  }

  opOf(slot: Slot): Op | undefined {
    return this.#ops[slot];
  }

  /** Frees the slot of an op that has ended and does not count as in flight any more. */
  free(slot: Slot): void {
    this.#ops[slot] = undefined;
    this.#free.push(slot);
  }

  /** Frees the slot of an op that will not complete, and does not count the op any more. */
  release(op: Op): void {
    this.free(op.slot);
    this.inFlight--;
  }

  /** The chunk of memory with the slot's stat result, as doubles. The result begins at `slot & Wire.slotPlaceMask` results. */
  statNumbers(slot: number): Float64Array {
    return this.#numbers[slot >> Wire.slotChunkBits]!;
  }
  /** The same chunk as words of 4 bytes. */
  statWords(slot: number): Uint32Array {
    return this.#words[slot >> Wire.slotChunkBits]!;
  }
  /** The same chunk as integers of 8 bytes. */
  statIntegers(slot: number): BigInt64Array {
    return this.#integers[slot >> Wire.slotChunkBits]!;
  }
}
