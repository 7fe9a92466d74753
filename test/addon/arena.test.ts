// Arenas: one allocator for each memory, in all Workers.
import { join } from 'node:path';
import { Arena, addressOf } from 'acall';
import { describe, expect, it } from 'vitest';
import { programsOf } from '../support/programs';

const { startWorker } = programsOf<typeof import('./programs/arena.cjs')>(join(__dirname, 'programs', 'arena.cjs'));

const full = expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' });
const wrong = expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' });

/** Whether no two of these [begin, length] share a byte. */
function areApart(extents: readonly (readonly [bigint | number, number])[]): boolean {
  const sorted = extents.map(([begin, length]) => [Number(begin), length] as const).sort((a, b) => a[0] - b[0]);
  return sorted.every(([begin], i) => i === 0 || sorted[i - 1]![0] + sorted[i - 1]![1] <= begin);
}

const extentOf = (view: Uint8Array): [bigint, number] => [addressOf(view), view.length];

describe('arenas over one memory', () => {
  it('in one Worker: the same buffer, a clone, and a clone of that never share a byte', () => {
    const arena = new Arena(1 << 16);
    const clone = Arena.from(structuredClone(arena.buffer));
    const arenas = [arena, Arena.from(arena.buffer), clone, Arena.from(structuredClone(clone.buffer))];
    expect(new Set(arenas.map(({ address }) => address)).size).toBe(1);
    const views: Uint8Array[] = [];
    for (let i = 0; i < 400; i++) views.push(arenas[i % 4]!.alloc(1 + ((i * 37) % 90), 1 << (i % 7)).fill(i));
    expect(areApart(views.map(extentOf))).toBe(true);
    expect(views.every((view, i) => view.every((byte) => byte === (i & 255)))).toBe(true);
    // Any of them gives back what another has handed out, once.
    for (const [i, view] of views.entries()) arenas[(i + 1) % 4]!.free(view);
    for (const view of views) for (const each of arenas) expect(() => each.free(view)).toThrow(wrong);
    expect(arena.alloc(arena.buffer.byteLength).length).toBe(1 << 16);
    expect(() => clone.alloc(1)).toThrow(full);
  });

  it('bytes of other memory are refused', () => {
    const [one, other] = [new Arena(4096), new Arena(4096)];
    expect(() => one.free(other.alloc(16))).toThrow(wrong);
    expect(() => one.free(new Uint8Array(16))).toThrow(wrong);
    const inside = one.alloc(64);
    expect(() => one.free(inside.subarray(16))).toThrow(wrong);
    one.free(inside);
  });

  it('in several Workers, at the same time: no byte has two owners, and any of them gives back', {
    timeout: 60_000,
  }, async () => {
    const arena = new Arena(1 << 20);
    const workers = Array.from({ length: 3 }, () => startWorker('allocateAndFree', [arena.buffer]));
    const extents = (
      await Promise.all(
        workers.map((worker) => new Promise<[bigint, number][]>((take) => worker.once('message', take))),
      )
    ).flat();
    expect(extents.length).toBe(3000);
    const mine = Array.from({ length: 500 }, () => arena.alloc(40));
    expect(areApart([...extents, ...mine.map(extentOf)])).toBe(true);
    await Promise.all(workers.map((worker) => worker.terminate()));
    // Bytes that a Worker has allocated stay taken when it ends. Another Worker frees them.
    expect(areApart([...extents, ...Array.from({ length: 500 }, () => extentOf(arena.alloc(40)))])).toBe(true);
    for (const [address] of extents) arena.free({ address });
    for (const [address] of extents) expect(() => arena.free({ address })).toThrow(wrong);
  });

  it('all of a memory can be handed out and given back, in any order', () => {
    const arena = new Arena(1 << 16);
    for (const size of [16, 48, 1000, 4096]) {
      const views: Uint8Array[] = [];
      for (;;) {
        try {
          views.push(arena.alloc(size));
        } catch (error) {
          expect(error).toEqual(full);
          break;
        }
      }
      // No more is lost than what alignment asks for.
      expect(views.length).toBeGreaterThanOrEqual(Math.floor((1 << 16) / Math.ceil(size / 16) / 16) - 1);
      for (let step = 0; step < 3; step++) for (let i = step; i < views.length; i += 3) arena.free(views[i]!);
    }
    expect(arena.alloc(1 << 16).every((byte) => byte === 0)).toBe(true);
  });
});
