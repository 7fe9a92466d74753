/* The structs of the binary interface as views over arena memory. */
import { checkInteger } from '../errors';
import { acallCompletionLayout, acallIdLayout, acallSubmissionLayout } from '../generated/layout';
import { type Arena, addressOf, checkArena } from './arena';

const kStructAlign = 16;

/** @internal A struct allocated in an arena. Holds the arena, so that its memory stays registered. */
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
 * One entry of `acall_submit`: 88 bytes in an arena. Fields are read and written in place, little-endian; values outside
 * a field's range wrap as typed arrays do.
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

  /** Syscall number (u32), see `SYS`. */
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
  /** What the completion will carry; not 0 when a ring or a completion slot is named. */
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

/** The id of an op: 16 opaque bytes, unique for the life of the process. */
export class AcallId extends StructView {
  constructor(arena: Arena) {
    super(arena, acallIdLayout.size);
  }

  /** The id itself, in place. */
  get bytes(): Uint8Array {
    return this.raw;
  }
}

/**
 * A completion slot. The engine stores `return_code` first and `cookie` last: once `cookie` is not 0n, `return_code` is
 * there. Store 0n into `cookie` to use the slot again.
 */
export class AcallCompletion extends StructView {
  readonly #words: BigInt64Array;

  constructor(arena: Arena) {
    super(arena, acallCompletionLayout.size);
    this.#words = new BigInt64Array(arena.buffer, this.raw.byteOffset, 2);
  }

  /** The call's result, or -errno. */
  get return_code(): bigint {
    return Atomics.load(this.#words, 0);
  }
  /** 0n until the op is complete, then its cookie. */
  get cookie(): bigint {
    return BigInt.asUintN(64, Atomics.load(this.#words, 1));
  }
  set cookie(value: bigint) {
    Atomics.store(this.#words, 1, value);
  }
}
