/* Slots of the promise layer: which op has which, how many are in flight, and the memory that stat results are written to. */
import { Wire } from '../generated/wire';
import { onTurn } from '../memory/turn';
import { native } from '../native';
import { type Op, Phase } from './op';

/** From {@link Slots.take}: there is no memory for more. */
export const kNoSlot = -1;

export class Slots {
  readonly #ops: (Op | undefined)[] = [];
  readonly #free: number[] = [];
  readonly #numbers: Float64Array[] = [];
  readonly #words: Uint32Array[] = [];
  readonly #integers: BigInt64Array[] = [];
  readonly #bell: () => void;
  #isOpen = false;
  /** Ops that have a slot and whose result somebody wants. */
  inFlight = 0;

  /** `bell`: called when results may have arrived. */
  constructor(bell: () => void) {
    this.#bell = bell;
  }

  /** Undefined when ops can be in flight in this environment; else why not. Asked again by the next op. */
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

  /** A free slot, or {@link kNoSlot}. */
  take(): number {
    return this.#free.length > 0 || this.#grow() ? this.#free.pop()! : kNoSlot;
  }

  #grow(): boolean {
    const results = native.growSlots();
    if (results === null) return false;
    this.#numbers.push(new Float64Array(results));
    this.#words.push(new Uint32Array(results));
    this.#integers.push(new BigInt64Array(results));
    const first = this.#ops.length;
    for (let i = Wire.slotChunk - 1; i >= 0; i--) this.#free.push(first + i);
    for (let i = 0; i < Wire.slotChunk; i++) this.#ops.push(undefined);
    return true;
  }

  /** The slot is the op's until it is freed. */
  assign(slot: number, op: Op): void {
    op.slot = slot;
    op.phase = Phase.batched;
    this.#ops[slot] = op;
    this.inFlight++;
  }

  opOf(slot: number): Op | undefined {
    return this.#ops[slot];
  }

  /** The slot of an op that is over, and is not counted any more. */
  free(slot: number): void {
    this.#ops[slot] = undefined;
    this.#free.push(slot);
  }

  /** The slot of an op that will not complete. */
  release(op: Op): void {
    this.free(op.slot);
    this.inFlight--;
  }

  /** The chunk of stat results that a slot's lies in, as numbers. */
  statNumbers(slot: number): Float64Array {
    return this.#numbers[slot >> Wire.slotChunkBits]!;
  }
  statWords(slot: number): Uint32Array {
    return this.#words[slot >> Wire.slotChunkBits]!;
  }
  statIntegers(slot: number): BigInt64Array {
    return this.#integers[slot >> Wire.slotChunkBits]!;
  }
}
