import { getEventListeners } from 'node:events';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  AcallCompletionRing,
  Arena,
  asyncScope,
  du,
  readdir,
  readFile,
  readFiles,
  StatBuffer,
  stat,
  statMany,
  syscall,
  walk,
} from 'acall';
import { afterAll, describe, expect, it } from 'vitest';
import { answerOf, slow } from './support/child';
import { descriptors, nextTurn, quiet } from './support/quiet';

const folder = fs.mkdtempSync(join(tmpdir(), 'acall-abort-many-'));
const held = join(folder, 'held');
fs.writeFileSync(held, '');
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

describe('thousands of calls on one signal', () => {
  const kinds: Record<string, (signal: AbortSignal) => Promise<unknown>> = {
    stat: (signal) => stat('/', { signal }),
    syscall: (signal) => syscall('getppid', [], { signal }),
    statMany: (signal) => statMany(['/'], { signal }),
    readdir: (signal) => readdir(folder, { signal }),
    walk: (signal) => walk(folder, { signal }).collect(),
    du: (signal) => du(folder, { signal }),
    readFile: (signal) => readFile(held, { signal }),
    readFiles: async (signal) => await readFiles([held], { signal }),
    wait_for_async: (signal) => {
      const scope = asyncScope();
      scope.async_stat('/', new StatBuffer());
      return scope.wait_for_async({ signal });
    },
    'AcallCompletionRing.wait': (signal) => new AcallCompletionRing(new Arena(4096), 4).wait({ signal, timeout: 1 }),
  };

  it.each(Object.entries(kinds))('%s: one listener, no warning, none left', async (_, call) => {
    const warnings: Error[] = [];
    const note = (warning: Error) => warnings.push(warning);
    process.on('warning', note);
    const controller = new AbortController();
    const { signal } = controller;
    const all = Array.from({ length: 500 }, () => call(signal));
    expect(getEventListeners(signal, 'abort').length).toBeLessThanOrEqual(1);
    await Promise.all(all);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    const more = Array.from({ length: 500 }, () => call(signal));
    controller.abort();
    const ends = await Promise.allSettled(more);
    // A burst goes down while it is asked for: of its beginning some may have been answered before the abort.
    const rejected = ends.filter((end) => end.status === 'rejected');
    expect(rejected.length).toBeGreaterThan(100);
    expect(rejected.every((end) => end.reason.code === 'ABORT_ERR')).toBe(true);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    await nextTurn();
    await quiet();
    process.off('warning', note);
    expect(warnings).toEqual([]);
  });

  it('stuck ones all end by one abort, their threads too', async () => {
    const answer = await answerOf<{ codes: string[]; left: number; ms: number }>(`
      const controller = new AbortController();
      const all = stuck(1000, { signal: controller.signal });
      await until(() => threadsIn('openat') === 1000);
      const begun = performance.now();
      controller.abort();
      const codes = await Promise.all(all.map(outcome));
      const ms = performance.now() - begun; // without the time that it takes to signal a thousand threads
      await until(() => acall.counters().running === 0);
      console.log(JSON.stringify({ codes: [...new Set(codes)], left: threadsIn('openat'), ms }));`);
    expect(answer).toMatchObject({ codes: ['ABORT_ERR'], left: 0 });
    expect(answer.ms).toBeLessThan(200 * slow);
  });
});

describe('an aborted traversal', () => {
  const trees: Record<string, (signal: AbortSignal) => Promise<unknown>> = {
    'walk with stats': async (signal) => {
      for await (const _ of walk('/usr', { signal, stats: true }));
    },
    'walk in batches': async (signal) => {
      for await (const _ of walk('/usr', { signal }).batches());
    },
    'walk, collected': (signal) => walk('/usr', { signal }).collect(),
    du: (signal) => du('/usr', { signal }),
    statMany: (signal) =>
      statMany(
        Array.from({ length: 200_000 }, () => '/usr'),
        { signal },
      ),
    readFiles: async (signal) =>
      await readFiles(
        Array.from({ length: 50_000 }, () => held),
        { signal },
      ),
  };

  it.each(Object.entries(trees))('%s leaves no descriptor and no thread at work', async (_, call) => {
    await quiet();
    const before = descriptors();
    for (const turns of [1, 3, 10]) {
      const controller = new AbortController();
      const promise = call(controller.signal).then(
        () => 'over',
        (error) => error.code,
      );
      for (let i = 0; i < turns; i++) await nextTurn();
      controller.abort();
      const begun = performance.now();
      const end = await promise;
      expect(performance.now() - begun).toBeLessThan(500 * slow);
      if (turns === 1) expect(end).toBe('ABORT_ERR');
    }
    await quiet();
    await nextTurn();
    await quiet();
    expect(descriptors()).toBe(before);
  });

  it('a loop that is left leaves nothing either', async () => {
    await quiet();
    const before = descriptors();
    for (let round = 0; round < 10; round++) {
      for await (const entry of walk('/usr')) if (entry.depth > 1) break;
    }
    await quiet();
    await nextTurn();
    await quiet();
    expect(descriptors()).toBe(before);
  });
});
