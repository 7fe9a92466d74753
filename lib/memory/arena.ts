/* Registered memory: a SharedArrayBuffer whose native address the addon knows, with an allocator inside. */
import { types } from 'node:util';
import { checkInteger, invalidArgType, invalidArgValue, rangeError } from '../errors';
import { type Handle, native } from '../native';

/** Anything with bytes in an arena that `Arena.free()` takes: what `alloc` returned, or a struct view. */
export type ArenaStruct = { readonly address: bigint };

const kDefaultBytes = 1 << 20;
const kMaxAlign = 4096;
const kDefaultAlign = 16;

/* What is known of one SharedArrayBuffer in this environment. Several Arena objects may share it. */
interface Registration {
  readonly handle: Handle;
  readonly address: bigint;
  readonly base: number; // native address modulo kMaxAlign
  readonly heap: Heap;
}

/*
 * First-fit allocator over one buffer. Its book-keeping lies in JavaScript and belongs to one environment: two Workers that
 * share a buffer must agree on who allocates.
 */
class Heap {
  readonly #buffer: SharedArrayBuffer;
  readonly #base: number;
  readonly #free: { offset: number; length: number }[]; // sorted by offset, never adjacent
  readonly #used = new Map<number, number>(); // offset -> length

  constructor(buffer: SharedArrayBuffer, base: number) {
    this.#buffer = buffer;
    this.#base = base;
    this.#free = [{ offset: 0, length: buffer.byteLength }];
  }

  allocate(byteLength: number, align: number): number {
    const wanted = Math.max(1, byteLength);
    for (let i = 0; i < this.#free.length; i++) {
      const hole = this.#free[i]!;
      const skip = (align - ((this.#base + hole.offset) % align)) % align;
      if (hole.length < skip + wanted) continue;
      const offset = hole.offset + skip;
      const rest = { offset: offset + wanted, length: hole.length - skip - wanted };
      const pieces = [];
      if (skip > 0) pieces.push({ offset: hole.offset, length: skip });
      if (rest.length > 0) pieces.push(rest);
      this.#free.splice(i, 1, ...pieces);
      this.#used.set(offset, wanted);
      new Uint8Array(this.#buffer, offset, byteLength).fill(0);
      return offset;
    }
    throw rangeError(`The arena has no room for ${byteLength} bytes`);
  }

  release(offset: number): boolean {
    const length = this.#used.get(offset);
    if (length === undefined) return false;
    this.#used.delete(offset);
    let low = 0;
    let high = this.#free.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#free[middle]!.offset < offset) low = middle + 1;
      else high = middle;
    }
    const before = this.#free[low - 1];
    const after = this.#free[low];
    const joinsBefore = before !== undefined && before.offset + before.length === offset;
    const joinsAfter = after !== undefined && offset + length === after.offset;
    if (joinsBefore && joinsAfter) {
      before.length += length + after.length;
      this.#free.splice(low, 1);
    } else if (joinsBefore) before.length += length;
    else if (joinsAfter) {
      after.offset = offset;
      after.length += length;
    } else this.#free.splice(low, 0, { offset, length });
    return true;
  }
}

const registrations = new WeakMap<SharedArrayBuffer, Registration>();

function register(buffer: SharedArrayBuffer): Registration {
  let known = registrations.get(buffer);
  if (!known) {
    const whole = new Uint8Array(buffer);
    const handle = native.arenaRegister(buffer, whole);
    const address = native.addressOf(whole);
    const base = Number(address % BigInt(kMaxAlign));
    known = { handle, address, base, heap: new Heap(buffer, base) };
    registrations.set(buffer, known);
  }
  return known;
}

/**
 * A SharedArrayBuffer that the engine may point the kernel at. Raw ops take only addresses inside arenas of the
 * environment that submits them; the memory stays alive until every op that touches it is complete.
 *
 * The allocator's book-keeping belongs to the environment: Workers that share a buffer must agree on who allocates in it.
 *
 * @example
 * const arena = new Arena(1 << 20);
 * const path = arena.cstring('/etc/hostname');
 * console.log(addressOf(path));
 */
export class Arena {
  /** The memory itself. Post it to a Worker and use `Arena.from(buffer)` there. */
  readonly buffer: SharedArrayBuffer;
  /** Native address of the first byte. */
  readonly address: bigint;
  readonly #registration: Registration;

  /**
   * @param byteLength size in bytes, 1 MiB unless told
   * @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE for a size that is no positive integer or cannot be had
   */
  constructor(byteLength?: number);
  /** @internal */
  constructor(byteLength: number | undefined, buffer: SharedArrayBuffer);
  constructor(byteLength: number = kDefaultBytes, buffer?: SharedArrayBuffer) {
    if (buffer === undefined) {
      checkInteger(byteLength, 'byteLength', 1, Number.MAX_SAFE_INTEGER);
      try {
        buffer = new SharedArrayBuffer(byteLength);
      } catch {
        throw rangeError(`An arena of ${byteLength} bytes cannot be allocated`);
      }
    }
    this.#registration = register(buffer);
    this.buffer = buffer;
    this.address = this.#registration.address;
  }

  /**
   * The arena over an existing buffer, for instance one that another Worker posted. Registering the same buffer again
   * counts; it stays registered while one of its arenas, or the buffer itself, is alive.
   *
   * @throws ERR_INVALID_ARG_TYPE for anything but a SharedArrayBuffer, ERR_INVALID_ARG_VALUE for a growable one
   */
  static from(buffer: SharedArrayBuffer): Arena {
    if (!types.isSharedArrayBuffer(buffer)) throw invalidArgType('buffer', 'an instance of SharedArrayBuffer', buffer);
    if ((buffer as { growable?: boolean }).growable) throw invalidArgValue('buffer', 'must not be growable', buffer);
    if (buffer.byteLength === 0) throw invalidArgValue('buffer', 'must not be empty', buffer);
    return new Arena(undefined, buffer);
  }

  /**
   * Zeroed bytes of the arena.
   *
   * @param byteLength number of bytes, 0 allowed
   * @param align power of two up to 4096 that the native address is a multiple of; 16 unless told
   * @throws ERR_OUT_OF_RANGE when the arena has no room
   */
  alloc(byteLength: number, align: number = kDefaultAlign): Uint8Array {
    checkInteger(byteLength, 'byteLength', 0, Number.MAX_SAFE_INTEGER);
    checkInteger(align, 'align', 1, kMaxAlign);
    if ((align & (align - 1)) !== 0) throw invalidArgValue('align', 'must be a power of two', align);
    return new Uint8Array(this.buffer, this.#registration.heap.allocate(byteLength, align), byteLength);
  }

  /**
   * Gives bytes back. An op in flight that still names them would write to whoever gets them next: free after completion.
   *
   * @param what what `alloc` or `cstring` returned, or a struct view made in this arena
   * @throws ERR_INVALID_ARG_VALUE when it was not allocated here, or is free already
   */
  free(what: Uint8Array | ArenaStruct): void {
    let offset = -1;
    if (types.isUint8Array(what)) {
      if (what.buffer === this.buffer) offset = what.byteOffset;
    } else if (typeof what === 'object' && what !== null && typeof what.address === 'bigint') {
      const distance = what.address - this.address;
      if (distance >= 0n && distance < BigInt(this.buffer.byteLength)) offset = Number(distance);
    } else throw invalidArgType('what', 'an instance of Uint8Array or a struct view', what);
    if (offset < 0 || !this.#registration.heap.release(offset)) {
      throw invalidArgValue('what', 'must be allocated in this arena and not free', what);
    }
  }

  /**
   * A NUL-terminated text.
   *
   * @param text a string (stored as UTF-8) or bytes without NUL
   * @throws ERR_INVALID_ARG_VALUE for a NUL inside
   */
  cstring(text: string | Uint8Array): Uint8Array {
    if (typeof text !== 'string' && !types.isUint8Array(text)) {
      throw invalidArgType('text', 'of type string or an instance of Uint8Array', text);
    }
    const bytes = typeof text === 'string' ? Buffer.from(text) : text;
    if (bytes.includes(0)) throw invalidArgValue('text', 'must be a string or bytes without null bytes', text);
    const room = this.alloc(bytes.length + 1);
    room.set(bytes);
    return room;
  }
}

/**
 * The native address of a view's first byte, for pointer arguments of raw ops.
 *
 * @throws TypeError ERR_INVALID_ARG_TYPE unless the view lies in an arena of this environment
 */
export function addressOf(view: ArrayBufferView): bigint {
  if (!ArrayBuffer.isView(view)) throw invalidArgType('view', 'an ArrayBufferView in an Arena', view);
  const registration = registrations.get(view.buffer as SharedArrayBuffer);
  if (!registration) throw invalidArgType('view', 'an ArrayBufferView in an Arena', view);
  return registration.address + BigInt(view.byteOffset);
}

/** @internal The arena's bytes from an address on, for struct views. */
export function bytesAt(arena: Arena, address: bigint, byteLength: number): Uint8Array {
  const offset = address - arena.address;
  if (offset < 0n || offset + BigInt(byteLength) > BigInt(arena.buffer.byteLength)) {
    throw rangeError(`${byteLength} bytes at address ${address} are not inside the arena`);
  }
  return new Uint8Array(arena.buffer, Number(offset), byteLength);
}

/** @internal */
export function checkArena(arena: unknown): asserts arena is Arena {
  if (!(arena instanceof Arena)) throw invalidArgType('arena', 'an instance of Arena', arena);
}
