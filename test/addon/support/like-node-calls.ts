/* Calls drawn at random: a function that acall and node:fs both have, and arguments. */
import * as fs from 'node:fs';
import {
  type Drawn,
  drawOptions,
  drawPath,
  kEncodings,
  kFlags,
  kModes,
  same,
  withoutWait,
} from './like-node-arguments';
import type { Random } from './random';

/** One call of one function. */
export interface Call {
  readonly name: string;
  readonly args: readonly Drawn[];
  /** Makes the call on one side. */
  run(api: Api, args: unknown[]): Promise<unknown>;
}

/* The functions that both sides have. */
export interface Api {
  readonly side: 'node' | 'mine';
  stat: (...args: never[]) => Promise<unknown>;
  lstat: (...args: never[]) => Promise<unknown>;
  fstat: (...args: never[]) => Promise<unknown>;
  readdir: (...args: never[]) => Promise<unknown>;
  readFile: (...args: never[]) => Promise<unknown>;
  writeFile: (...args: never[]) => Promise<unknown>;
  copyFile: (...args: never[]) => Promise<unknown>;
  mkdirp: (...args: never[]) => Promise<unknown>;
  open: (...args: never[]) => Promise<fs.promises.FileHandle>;
}

type Recipe = (random: Random) => Call;
const statLike =
  (name: 'stat' | 'lstat'): Recipe =>
  (random) => ({
    name,
    args: [
      drawPath(random, false),
      random.pick([
        same(undefined),
        same({}),
        same({ bigint: true }),
        same({ bigint: false }),
        same({ bigint: undefined }),
        same({ bigint: null }),
      ]),
    ],
    run: (api, args) => api[name](...(args as never[])),
  });

const kRecipes: Recipe[] = [
  statLike('stat'),
  statLike('lstat'),
  (random) => ({
    name: 'fstat',
    args: [
      same(random.pick<unknown>([-1, 1.5, '1', null, undefined, 2 ** 31, 99_999, {}, true, Number.NaN])),
      random.pick([same({}), same({ bigint: true })]),
    ],
    run: (api, args) => api.fstat(...(args as never[])),
  }),
  (random) => ({
    name: 'readdir',
    args: [
      drawPath(random, false),
      drawOptions(random, { encoding: kEncodings, withFileTypes: [true, false, undefined, null, 1, 0, 'yes'] }),
    ],
    run: (api, args) => api.readdir(...(args as never[])),
  }),
  (random) => {
    const types = random.pick([true, false, undefined]);
    return {
      name: 'readdir, recursive',
      args: [
        drawPath(random, true),
        same({
          recursive: random.pick([true, 1]),
          withFileTypes: types,
          encoding: random.pick([undefined, 'utf8', null]),
        }),
      ],
      run: (api, args) => api.readdir(...(args as never[])),
    };
  },
  (random) => ({
    name: 'readFile',
    args: [
      drawPath(random, false),
      drawOptions(random, {
        encoding: kEncodings,
        flag: kFlags.map(withoutWait),
        signal: [undefined, null, 5, new AbortController().signal],
      }),
    ],
    run: (api, args) => api.readFile(...(args as never[])),
  }),
  (random) => ({
    name: 'writeFile',
    args: [
      drawPath(random, true),
      same(
        random.pick<unknown>([
          '',
          'text',
          'grüße \ud800',
          '6162',
          Buffer.from('bytes'),
          new Uint16Array([1, 2]),
          new DataView(new ArrayBuffer(3)),
          ['a', 'b'],
          new Set(['ä']),
          [Buffer.from('x')],
          [5],
          [],
          undefined,
          null,
          5,
          {},
          true,
          new ArrayBuffer(2),
          Symbol('s'),
          new String('text'),
        ]),
      ),
      drawOptions(random, {
        encoding: kEncodings,
        flag: kFlags.map(withoutWait),
        mode: kModes,
        flush: [true, false, undefined, null, 0, 'x'],
        signal: [undefined, null, 5],
      }),
    ],
    run: (api, args) => api.writeFile(...(args as never[])),
  }),
  (random) => ({
    name: 'copyFile',
    args: [
      drawPath(random, true),
      drawPath(random, true),
      same(
        random.pick<unknown>([
          undefined,
          undefined,
          null,
          0,
          1,
          2,
          4,
          5,
          8,
          -1,
          '1',
          true,
          1.5,
          Number.NaN,
          Number.POSITIVE_INFINITY,
          2 ** 32,
          () => {},
          1n,
          '',
        ]),
      ),
    ],
    run: (api, args) => api.copyFile(...(args as never[])),
  }),
  (random) => ({
    name: 'mkdirp',
    args: [
      drawPath(random, true),
      same(
        random.pick<unknown>([
          undefined,
          {},
          ...kModes.filter((mode) => mode === undefined || typeof mode === 'number' || typeof mode === 'string'),
          { mode: null },
          { mode: '700' },
          { mode: {} },
        ]),
      ),
    ],
    run: (api, args) => api.mkdirp(...(args as never[])),
  }),
  (random) => ({
    name: 'open',
    args: [drawPath(random, true), same(random.pick(kFlags.map(withoutWait))), same(random.pick(kModes))],
    run: async (api, args) => {
      const handle = await api.open(...(args as never[]));
      const { size, mode } = await handle.stat();
      await handle.close();
      return { size, mode };
    },
  }),
  (random) => ({
    name: 'FileHandle',
    args: [drawPath(random, true), same(random.pick(['r', 'r+', 'w+', 'a+'])), ...drawHandleCall(random)],
    run: async (api, [path, flags, method, ...rest]) => {
      const handle = await api.open(...([path, flags] as never[]));
      try {
        const owner = handle as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
        const copies = rest.map((value) => (Buffer.isBuffer(value) ? Buffer.from(value) : value));
        return await owner[method as string]!(...copies);
      } finally {
        await handle.close();
      }
    },
  }),
  (random) => ({
    name: 'readFile and writeFile of a FileHandle of node:fs',
    args: [
      drawPath(random, true),
      same(random.pick(['r', 'r+', 'w+', 'a+'])),
      same(random.pick([undefined, 'utf8', 'hex', 'latin1'])),
    ],
    run: async (api, [path, flags, encoding]) => {
      const handle = await fs.promises.open(...([path, flags] as unknown as ['']));
      try {
        const read = await api.readFile(...([handle, encoding] as never[]));
        await api.writeFile(...([handle, 'more'] as never[]));
        return read;
      } finally {
        await handle.close();
      }
    },
  }),
];

function drawHandleCall(random: Random): Drawn[] {
  const at = [undefined, null, 0, 1, 5, 100, -1];
  const odd = [1.5, 'x', -2, 2 ** 53, {}, true, 5n];
  const calls: (() => unknown[])[] = [
    () => [
      'read',
      Buffer.alloc(random.pick([0, 4, 100])),
      random.pick([...at, 1.5, 'x']),
      random.pick([undefined, null, 0, 2, 4, 100, -1]),
      random.pick(at),
    ],
    () => [
      'read',
      {
        buffer: Buffer.alloc(8),
        offset: random.pick([0, 4, 9]),
        length: random.pick([undefined, 1, 4, 99]),
        position: random.pick(at),
      },
    ],
    () => ['read', random.pick<unknown>([undefined, null, {}, 'text', 5, true])],
    () => [
      'write',
      random.pick<unknown>(['text', 'ä', '', '6', '6162']),
      random.pick([undefined, null, 0, 3, 10]),
      random.pick<unknown>(['utf8', 'hex', 'latin1', 'base64', null, undefined, 'klingon', 'ucs2']),
    ],
    () => [
      'write',
      Buffer.from('0123456789'),
      random.pick([...at, ...odd.slice(0, 3)]),
      random.pick([undefined, null, 0, 4, 11, -1]),
      random.pick([undefined, null, 0, 3]),
    ],
    () => ['write', random.pick<unknown>([5, null, undefined, {}, [], true])],
    () => [
      'truncate',
      ...(random.chance(0.2) ? [] : [random.pick<unknown>([0, 1, 5, 100_000, -1, -5, 1.5, 'x', null, true, 2 ** 53])]),
    ],
    () => [random.pick(['sync', 'datasync', 'stat'])],
    () => ['stat', random.pick([{ bigint: true }, {}, { bigint: false }])],
  ];
  return random.pick(calls)().map(same);
}

/** Draws one call. */
export function drawCall(random: Random): Call {
  return random.pick(kRecipes)(random);
}
