/* Arena: a SharedArrayBuffer whose native address the addon knows, with an allocator. */
import { types } from 'node:util';
import { checkInteger, invalidArgType, invalidArgValue, rangeError } from '../errors';
import { Wire } from '../generated/wire';
import { type ArenaHandle, native } from '../native';

/** A struct view in an arena, for `Arena.free()`. */
type ArenaStruct = { readonly address: bigint };

const kDefaultBytes = 1 << 20;
const kMaxAlign = 4096;
const kDefaultAlign = 16;

/*
 * The registration of one SharedArrayBuffer in this environment. Several Arena objects may share it. The allocator is in the core,
 * one for all buffers over the same memory in every Worker: native/core/op/arena_heap.h.
 */
interface Registration {
  readonly handle: ArenaHandle;
  readonly address: bigint;
}

const registrations = new WeakMap<SharedArrayBuffer, Registration>();

function register(buffer: SharedArrayBuffer, fresh: boolean): Registration {
  let known = registrations.get(buffer);
  if (!known) {
    const whole = new Uint8Array(buffer);
    const handle = native.arenaRegister(buffer, whole, fresh);
    known = { handle, address: native.addressOf(whole) };
    registrations.set(buffer, known);
  }
  return known;
}

/**
 * A SharedArrayBuffer whose memory the kernel may read and write. A raw op may name only addresses inside arenas of the
 * environment that submits the op. The memory stays alive until every op that touches it is complete. See docs/memory.md.
 *
 * Every arena over the same memory, also in another Worker, shares one allocator: no two of them allocate the same bytes, and
 * each of them can free what another has allocated. Bytes that nobody frees stay taken when the Worker that allocated them
 * ends. When no environment has the memory registered any more, all bytes are free.
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
   * @param byteLength size in bytes, 1 MiB by default
   * @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE for a size that is no positive integer or cannot be allocated
   */
  constructor(byteLength?: number);
  /** @internal */
  constructor(byteLength: number | undefined, buffer: SharedArrayBuffer);
  constructor(byteLength: number = kDefaultBytes, buffer?: SharedArrayBuffer) {
    const fresh = buffer === undefined;
    if (buffer === undefined) {
      checkInteger(byteLength, 'byteLength', 1, Number.MAX_SAFE_INTEGER);
      try {
        buffer = new SharedArrayBuffer(byteLength);
      } catch {
        throw rangeError(`An arena of ${byteLength} bytes cannot be allocated`);
      }
    }
    this.#registration = register(buffer, fresh);
    this.buffer = buffer;
    this.address = this.#registration.address;
  }

  /**
   * The arena over an existing buffer, for instance one that another Worker has posted. The buffer stays registered in this
   * environment as long as an arena over it, or the buffer itself, is alive.
   *
   * @throws ERR_INVALID_ARG_TYPE for anything but a SharedArrayBuffer, ERR_INVALID_ARG_VALUE for a growable or empty one
   *
   * @example
   * parentPort.once('message', (buffer) => {
   *   const arena = Arena.from(buffer);
   * });
   */
  static from(buffer: SharedArrayBuffer): Arena {
    if (!types.isSharedArrayBuffer(buffer)) throw invalidArgType('buffer', 'an instance of SharedArrayBuffer', buffer);
    if ((buffer as { growable?: boolean }).growable) throw invalidArgValue('buffer', 'must not be growable', buffer);
    if (buffer.byteLength === 0) throw invalidArgValue('buffer', 'must not be empty', buffer);
    return new Arena(undefined, buffer);
  }

  /**
   * Allocates zeroed bytes of the arena.
   *
   * @param byteLength number of bytes, 0 allowed
   * @param align a power of two up to 4096; the native address is a multiple of it; 16 by default
   * @throws ERR_OUT_OF_RANGE when the arena has no room; ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE for
   *   wrong arguments
   *
   * @example
   * const buffer = arena.alloc(4096);
   */
  alloc(byteLength: number, align: number = kDefaultAlign): Uint8Array {
    checkInteger(byteLength, 'byteLength', 0, Number.MAX_SAFE_INTEGER);
    checkInteger(align, 'align', 1, kMaxAlign);
    if ((align & (align - 1)) !== 0) throw invalidArgValue('align', 'must be a power of two', align);
    const offset = native.arenaTake(this.#registration.handle, byteLength, align);
    if (offset === Wire.noRoom) throw rangeError(`The arena has no room for ${byteLength} bytes`);
    return new Uint8Array(this.buffer, offset, byteLength).fill(0);
  }

  /**
   * Frees bytes. Free them after all ops that name them are complete: an op in flight would write to the next owner's bytes.
   *
   * @param what the bytes that `alloc` or `cstring` returned, or a struct view made in this arena
   * @throws ERR_INVALID_ARG_VALUE when `what` was not allocated in this memory, or is free already; ERR_INVALID_ARG_TYPE
   */
  free(what: Uint8Array | ArenaStruct): void {
    let address: bigint;
    if (types.isUint8Array(what)) {
      // Found by the address, because the view may belong to another buffer over the same memory.
      address = types.isSharedArrayBuffer(what.buffer) ? native.addressOf(what) : -1n;
    } else if (typeof what === 'object' && what !== null && typeof what.address === 'bigint') address = what.address;
    else throw invalidArgType('what', 'an instance of Uint8Array or a struct view', what);
    const distance = address - this.address;
    const isInside = distance >= 0n && distance < BigInt(this.buffer.byteLength);
    if (!isInside || !native.arenaGiveBack(this.#registration.handle, Number(distance))) {
      throw invalidArgValue('what', 'must be allocated in this arena and not free', what);
    }
  }

  /**
   * Allocates a NUL-terminated text, for instance a path.
   *
   * @param text a string (stored as UTF-8) or bytes without NUL
   * @throws ERR_INVALID_ARG_VALUE for a NUL inside, ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE when the arena has no room
   *
   * @example
   * submission.args[1] = addressOf(arena.cstring('/etc/hostname'));
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
 * @throws ERR_INVALID_ARG_TYPE unless the view lies in an arena of this environment
 *
 * @example
 * submission.args[1] = addressOf(buffer);
 */
export function addressOf(view: ArrayBufferView): bigint {
  if (!ArrayBuffer.isView(view)) throw invalidArgType('view', 'an ArrayBufferView in an Arena', view);
  const registration = registrations.get(view.buffer as SharedArrayBuffer);
  if (!registration) throw invalidArgType('view', 'an ArrayBufferView in an Arena', view);
  return registration.address + BigInt(view.byteOffset);
}

/** @internal Bytes of the arena at an address. @throws ERR_OUT_OF_RANGE unless they lie inside the arena */
export function bytesAt(arena: Arena, address: bigint, byteLength: number): Uint8Array {
  const offset = address - arena.address;
  if (offset < 0n || offset + BigInt(byteLength) > BigInt(arena.buffer.byteLength)) {
    throw rangeError(`${byteLength} bytes at address ${address} are not inside the arena`);
  }
  return new Uint8Array(arena.buffer, Number(offset), byteLength);
}

/** @internal @throws ERR_INVALID_ARG_TYPE for anything but an Arena */
export function checkArena(arena: unknown): asserts arena is Arena {
  if (!(arena instanceof Arena)) throw invalidArgType('arena', 'an instance of Arena', arena);
}
