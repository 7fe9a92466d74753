/* The structs of the binary interface as views over arena memory. */
import { checkInteger } from '../errors';
import { acallCompletionLayout, acallIdLayout, acallSubmissionLayout } from '../generated/layout';
import { type Arena, addressOf, checkArena } from './arena';

const kStructAlign = 16;

/** @internal A struct in an arena. Its views keep the arena's memory registered. */
export class StructView {
  /** Native address of the struct. */
  readonly address: bigint;
  /** @internal */
  readonly view: DataView;
  /** @internal */
  readonly raw: Uint8Array;

  protected constructor(arena: Arena, byteLength: number, existing?: Uint8Array) {
    checkArena(arena);
    this.raw = existing ?? arena.alloc(byteLength, kStructAlign);
    this.view = new DataView(arena.buffer, this.raw.byteOffset, byteLength);
    this.address = addressOf(this.raw);
    for (const name of ['view', 'raw']) Object.defineProperty(this, name, { enumerable: false });
  }
}

/**
 * One entry of `acall_submit`: 88 bytes in an arena. Fields are read and written in place, little-endian. A bigint that does not
 * fit into 64 bits wraps, as in typed arrays. `nr` and `flags` throw ERR_INVALID_ARG_TYPE or ERR_OUT_OF_RANGE for anything but an
 * integer of 32 bits.
 *
 * @example
 * const submission = new AcallSubmission(arena);
 * submission.nr = SYS.getppid;
 * submission.flags = ACALL_SUBMIT_THREAD_POOL;
 */
export class AcallSubmission extends StructView {
  /** The six arguments; unsigned addresses may be stored as they are (BigInt.asIntN is applied). */
  readonly args: BigInt64Array;

  constructor(arena: Arena) {
    super(arena, acallSubmissionLayout.size);
    this.args = new BigInt64Array(arena.buffer, this.raw.byteOffset + acallSubmissionLayout.args, 6);
  }

  /** Number of the system call (u32), see `SYS`. */
  get nr(): number {
    return this.view.getUint32(acallSubmissionLayout.nr, true);
  }
  set nr(value: number) {
    this.view.setUint32(acallSubmissionLayout.nr, checkInteger(value, 'nr', 0, 0xffffffff), true);
  }
  /** `ACALL_SUBMIT_*` bits (u32). */
  get flags(): number {
    return this.view.getUint32(acallSubmissionLayout.flags, true);
  }
  set flags(value: number) {
    this.view.setUint32(acallSubmissionLayout.flags, checkInteger(value, 'flags', 0, 0xffffffff), true);
  }
  /** Any number; the completion carries it. It must not be 0n when a ring or a completion slot is named. */
  get cookie(): bigint {
    return this.view.getBigUint64(acallSubmissionLayout.cookie, true);
  }
  set cookie(value: bigint) {
    this.view.setBigUint64(acallSubmissionLayout.cookie, value, true);
  }
  /** Address of an `AcallCompletionRing`, or 0n. */
  get completion_ring_pointer(): bigint {
    return this.view.getBigUint64(acallSubmissionLayout.completion_ring_pointer, true);
  }
  set completion_ring_pointer(value: bigint) {
    this.view.setBigUint64(acallSubmissionLayout.completion_ring_pointer, value, true);
  }
  /** Address of an `AcallCompletion`, or 0n. */
  get completion_pointer(): bigint {
    return this.view.getBigUint64(acallSubmissionLayout.completion_pointer, true);
  }
  set completion_pointer(value: bigint) {
    this.view.setBigUint64(acallSubmissionLayout.completion_pointer, value, true);
  }
  /** Address of an `AcallId` that receives the op's id during the submission, or 0n. */
  get id_pointer(): bigint {
    return this.view.getBigUint64(acallSubmissionLayout.id_pointer, true);
  }
  set id_pointer(value: bigint) {
    this.view.setBigUint64(acallSubmissionLayout.id_pointer, value, true);
  }
}

/**
 * The id of an op: 16 opaque bytes, unique for the life of the process. `acall_submit` stores it when the submission's
 * `id_pointer` is the address of this struct.
 */
export class AcallId extends StructView {
  constructor(arena: Arena) {
    super(arena, acallIdLayout.size);
  }

  /** The 16 bytes, in place. */
  get bytes(): Uint8Array {
    return this.raw;
  }
}

/**
 * A completion slot. The engine stores `return_code` first and `cookie` last: once `cookie` is not 0n, `return_code` is valid.
 * Store 0n into `cookie` to use the slot again.
 *
 * @example
 * const completion = new AcallCompletion(arena);
 * submission.completion_pointer = completion.address;
 * // ... submit, and wait for the op ...
 * if (completion.cookie !== 0n) console.log(completion.return_code);
 */
export class AcallCompletion extends StructView {
  readonly #words: BigInt64Array;

  constructor(arena: Arena) {
    super(arena, acallCompletionLayout.size);
    this.#words = new BigInt64Array(arena.buffer, this.raw.byteOffset, 2);
  }

  /** The result of the call, -errno when the call failed. */
  get return_code(): bigint {
    return Atomics.load(this.#words, 0);
  }
  /** 0n until the op is complete, then the op's cookie. */
  get cookie(): bigint {
    return BigInt.asUintN(64, Atomics.load(this.#words, 1));
  }
  set cookie(value: bigint) {
    Atomics.store(this.#words, 1, value);
  }
}
