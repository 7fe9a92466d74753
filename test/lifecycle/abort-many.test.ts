import { getEventListeners } from 'node:events';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  AcallCompletionRing,
  Arena,
  asyncScope,
  constants,
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
import { programsOf, slow } from '../support/programs';
import { descriptors, makePipe, nextTurn, quiet } from '../support/quiet';

const { answerOf } = programsOf<typeof import('./programs/abort-many.cjs')>(
  join(__dirname, 'programs', 'abort-many.cjs'),
);

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
    // A burst is submitted in parts while it is made: its first ops may have completed before the abort.
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
    const answer = await answerOf('stuckThousand', []);
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

describe('one abort of very many calls', () => {
  it('runs none of those that still wait, and leaves those behind them their turn', async () => {
    const answer = await answerOf('abortWaiting', []);
    expect(answer).toEqual({ codes: ['done', 'ABORT_ERR', 'ABORT_ERR'], ends: ['ABORT_ERR', 'done'], isKept: true });
  });

  it('begins no call of any of them afterwards, although their threads are signalled one by one', async () => {
    const answer = await answerOf('abortPrograms', []);
    expect(answer).toEqual({ codes: ['ABORT_ERR'], written: 0 });
  });

  it('holds the loop no longer than a few turns of it take, whatever they were at', async () => {
    const answer = await answerOf('timeOfAborts', [], { timeout: 60_000 * slow });
    for (const { held, all } of Object.values(answer)) {
      expect(held).toBeLessThan(150 * slow); // 7 ms where nobody else wants the machine
      expect(all).toBeLessThan(3000 * slow);
    }
  });

  it('rejects each with an error of its own that names the cause, and all with one stack', async () => {
    const [from, to] = await makePipe();
    const controller = new AbortController();
    const { signal } = controller;
    const all = Array.from({ length: 1000 }, () => syscall('read', [from, Buffer.alloc(1), 1], { signal }));
    const reason = new Error('enough');
    const { prepareStackTrace } = Error;
    let captured = 0;
    Error.prepareStackTrace = (error, sites) => {
      captured += (error as NodeJS.ErrnoException).code === 'ABORT_ERR' || error.message.includes('aborted') ? 1 : 0;
      return `${error.name}: ${error.message}\n    at ${sites.join('\n    at ')}`;
    };
    controller.abort(reason);
    const ends = (await Promise.allSettled(all)) as PromiseRejectedResult[];
    const errors = ends.map((end) => end.reason as Error & { code: string });
    expect(new Set(errors).size).toBe(1000);
    expect(new Set(errors.map(({ stack }) => stack)).size).toBe(1);
    Error.prepareStackTrace = prepareStackTrace;
    expect(captured).toBe(1);
    expect(errors[0]!.stack).toContain('AbortError: The operation was aborted\n    at ');
    expect(
      errors.every(({ cause, code, name }) => cause === reason && code === 'ABORT_ERR' && name === 'AbortError'),
    ).toBe(true);
    expect(Error.stackTraceLimit).toBeGreaterThan(0);
    await quiet();
    fs.closeSync(from);
    fs.closeSync(to);
  });

  it('comes before whatever listeners of others start or bring to an end', async () => {
    const before = process.umask();
    const controller = new AbortController();
    const { signal } = controller;
    const inListener: Promise<unknown>[] = [];
    signal.addEventListener('abort', (event) => {
      // Bursts submit the ops made so far, and take results that are complete.
      for (let i = 0; i < 1000; i++) inListener.push(stat('/'));
      for (let i = 0; i < 1000; i++) inListener.push(syscall('getppid'));
      event.stopImmediatePropagation();
    });
    const all = [
      ...Array.from({ length: 100 }, () => stat(folder, { signal })),
      ...Array.from({ length: 100 }, () => syscall('umask', [0o123], { signal })),
    ];
    controller.abort();
    const ends = await Promise.allSettled(all);
    await Promise.all(inListener);
    expect(ends.every((end) => end.status === 'rejected' && end.reason.code === 'ABORT_ERR')).toBe(true);
    expect(process.umask()).toBe(before);
  });

  it('and a time-out of very many are reported in several turns of the loop', async () => {
    const [from, to] = await makePipe();
    let told = 0;
    const all = Array.from({ length: 10_000 }, () =>
      syscall('read', [from, Buffer.alloc(1), 1], { timeout: 1 }).catch((error) => {
        told++;
        return error.code;
      }),
    );
    let first = 0;
    while (told === 0) {
      await nextTurn();
      first = told;
    }
    expect(first).toBeLessThan(10_000);
    expect([...new Set(await Promise.all(all))]).toEqual(['ETIMEDOUT']);
    await quiet();
    fs.closeSync(from);
    fs.closeSync(to);
  });
});

describe('what one completion throws', () => {
  it('rejects its own promise, and the others get their results', async () => {
    const buffers = Array.from({ length: 10 }, () => new ArrayBuffer(16));
    const file = fs.openSync(held, 'r');
    const strange = buffers.map((buffer) =>
      syscall('readlinkat', [-100, '/proc/self/exe', new DataView(buffer), 16], { thread: 'own' }),
    );
    const others = Array.from({ length: 500 }, (_, i) =>
      syscall('fcntl', [file, constants.F_GETFD], { thread: i % 2 ? 'pool' : 'own' }),
    );
    await null; // the calls are submitted
    structuredClone(buffers, { transfer: buffers }); // byteLength of such a view throws
    const ends = await Promise.allSettled(strange);
    expect(ends.map((end) => end.status)).toEqual(buffers.map(() => 'rejected'));
    expect(new Set(await Promise.all(others))).toEqual(new Set([constants.FD_CLOEXEC]));
    expect((await stat(held)).isFile()).toBe(true);
    fs.closeSync(file);
  });
});

describe("what a signal of the caller's making throws", () => {
  const nothing = (): void => {};
  const fail = (): never => {
    throw new Error('strange');
  };
  const signals: Record<string, () => { signal: AbortSignal; fire?: () => void; aborts?: boolean }> = {
    'when its state is asked for': () => {
      let isStrange = false;
      const signal = {
        get aborted() {
          return isStrange ? fail() : false;
        },
        addEventListener: nothing,
        removeEventListener: nothing,
      };
      const fire = () => {
        isStrange = true;
      };
      return { signal: signal as unknown as AbortSignal, fire };
    },
    'when a listener leaves': () => {
      const signal = { aborted: false, addEventListener: nothing, removeEventListener: fail };
      return { signal: signal as unknown as AbortSignal };
    },
    'a value that is no Error': () => {
      const signal = {
        aborted: false,
        addEventListener: nothing,
        removeEventListener() {
          throw null;
        },
      };
      return { signal: signal as unknown as AbortSignal };
    },
    'when its reason is asked for': () => {
      const controller = new AbortController();
      Object.defineProperty(controller.signal, 'reason', { get: fail });
      return { signal: controller.signal, fire: () => controller.abort(), aborts: true };
    },
  };

  it.each(Object.keys(signals))('%s reaches no other op', async (name) => {
    const warned = nothing;
    process.on('warning', warned);
    const { signal, fire, aborts } = signals[name]!();
    const pipe = await makePipe();
    const end = () => fs.writeSync(pipe[1], 'x'.repeat(40));
    const reads = Array.from({ length: 20 }, (_, i) =>
      syscall('read', [pipe[0], new Uint8Array(1), 1], i === 5 ? { signal } : {}).then(
        (count) => count,
        (error: Error) => error.name,
      ),
    );
    for (const { mode } of await Promise.all([stat(held, { signal }), stat('/')])) expect(mode).toBeGreaterThan(0);
    fire?.();
    end();
    const wanted = reads.map((_, i) => (i === 5 && aborts ? 'AbortError' : 1));
    expect(await Promise.all(reads)).toEqual(wanted);
    for (const fd of pipe) fs.closeSync(fd);
    process.off('warning', warned);
  });

  it('one that nobody can leave is refused', async () => {
    const signal = { aborted: false, addEventListener: nothing } as unknown as AbortSignal;
    await expect(stat('/', { signal })).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
  });
});
