/* SysletAtom: one atom of a program, as a view over arena memory. */
import { checkInteger } from '../../errors';
import { sysletUatomLayout as layout } from '../../generated/layout';
import { type Arena, checkArena } from '../../memory/arena';
import { StructView } from '../../memory/structs';

const kMaxCount = 0xffffff;

/**
 * One atom: the `syslet_uatom` of 2007, 80 bytes in an arena. Its arguments are *pointers to* 8-byte values, read when the
 * atom runs; the list ends at the first 0n. The result is stored at `ret_ptr`, so it may be the argument of a later atom.
 * docs/programs.md describes how atoms run.
 *
 * @example
 * const atom = new SysletAtom(arena);
 * atom.nr = SYS.close;
 * atom.flags = SYSLET_STOP_ON_NEGATIVE;
 * atom.arg_ptr[0] = addressOf(fd); // 8 bytes that an earlier atom's ret_ptr names
 */
export class SysletAtom extends StructView {
  /** Addresses of the six arguments' 8-byte values. */
  readonly arg_ptr: BigInt64Array;

  constructor(arena: Arena);
  /** @internal */
  constructor(arena: Arena, existing: Uint8Array);
  constructor(arena: Arena, existing?: Uint8Array) {
    super(arena, layout.size, existing);
    this.arg_ptr = new BigInt64Array(arena.buffer, this.raw.byteOffset + layout.arg_ptr, 6);
  }

  /**
   * Allocates atoms one behind the other in memory, as `SYSLET_SKIP_TO_NEXT_ON_STOP` needs them. The `next` of each is the
   * following atom, and that of the last is 0n. They are one allocation: `arena.free()` of the first frees all.
   *
   * @param count 1 to 16,777,215
   * @throws ERR_OUT_OF_RANGE for a bad count, or when the arena has no room
   */
  static array(arena: Arena, count: number): SysletAtom[] {
    checkArena(arena);
    checkInteger(count, 'count', 1, kMaxCount);
    const bytes = arena.alloc(count * layout.size);
    const atoms = Array.from(
      { length: count },
      (_, i) => new SysletAtom(arena, bytes.subarray(i * layout.size, (i + 1) * layout.size)),
    );
    for (let i = 1; i < count; i++) atoms[i - 1]!.next = atoms[i]!.address;
    return atoms;
  }

  /** `SYSLET_*` bits (u32); unknown bits end the program with -EINVAL. */
  get flags(): number {
    return this.view.getUint32(layout.flags, true);
  }
  set flags(value: number) {
    this.view.setUint32(layout.flags, checkInteger(value, 'flags', 0, 0xffffffff), true);
  }
  /** Number of the system call (u32, see `SYS`), or `SYSLET_NR_UMEM_ADD`. */
  get nr(): number {
    return this.view.getUint32(layout.nr, true);
  }
  set nr(value: number) {
    this.view.setUint32(layout.nr, checkInteger(value, 'nr', 0, 0xffffffff), true);
  }
  /** Address of the 8 bytes that receive the result, or 0n. */
  get ret_ptr(): bigint {
    return this.view.getBigUint64(layout.ret_ptr, true);
  }
  set ret_ptr(value: bigint) {
    this.view.setBigUint64(layout.ret_ptr, value, true);
  }
  /** Address of the atom to go on with, or 0n: the program ends here. */
  get next(): bigint {
    return this.view.getBigUint64(layout.next, true);
  }
  set next(value: bigint) {
    this.view.setBigUint64(layout.next, value, true);
  }
  /** Any number for the caller's use; the interpreter does not read it. */
  get private(): bigint {
    return this.view.getBigUint64(layout.private_data, true);
  }
  set private(value: bigint) {
    this.view.setBigUint64(layout.private_data, value, true);
  }
}
