/*
 * A random differential test: the same call, with the same arguments, is made through node:fs and through acall, each on a tree of its
 * own. The results, every field of an error, and the trees must be equal afterwards. Everything is drawn from a seed.
 */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { runInNewContext } from 'node:vm';
import * as acall from 'acall';

/** mulberry32: the same numbers for the same seed. */
export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }
  chance(probability: number): boolean {
    return this.next() < probability;
  }
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
}

const kNames = [
  'a',
  'b',
  'grüße',
  'file',
  'dir',
  'link',
  'empty',
  'large',
  'dangling',
  'loop',
  'fifo',
  'locked',
  'odd name\n',
];
const kNotUtf8 = Buffer.from([0x66, 0xff, 0x6f]);
const isRoot = () => process.getuid?.() === 0;

/** Two equal trees, one for each side, under names of equal length. */
export class Trees {
  readonly home = fs.mkdtempSync(join(tmpdir(), 'acall-like-'));
  /** The folder of one side. A path may climb out of its tree by `..` behind links to '.', and must not meet the other side there. */
  readonly tops = { node: join(this.home, 'n'), mine: join(this.home, 'm') };
  readonly roots = { node: join(this.tops.node, 'up/up/up'), mine: join(this.tops.mine, 'up/up/up') };

  constructor() {
    for (const side of ['n', 'm']) execFileSync('mkfifo', [join(this.home, `fifo-${side}`)]);
  }

  /** Makes both trees anew. */
  fill(random: Random): void {
    const seed = random.below(2 ** 32);
    for (const top of Object.values(this.tops)) this.#clear(top);
    for (const root of Object.values(this.roots)) this.#grow(root, new Random(seed));
  }

  #clear(root: string): void {
    if (!isRoot() && fs.existsSync(root)) execFileSync('chmod', ['-R', 'u+rwx', root]);
    fs.rmSync(root, { recursive: true, force: true });
  }

  #grow(root: string, random: Random): void {
    fs.mkdirSync(root, { recursive: true });
    const folders = [root];
    const made = 6 + random.below(14);
    for (let i = 0; i < made; i++) {
      const path = join(random.pick(folders), random.pick(kNames));
      if (fs.lstatSync(path, { throwIfNoEntry: false }) !== undefined) continue;
      const kind = random.below(12);
      if (kind < 4) {
        fs.mkdirSync(path);
        folders.push(path);
      } else if (kind < 8) {
        const length = random.pick([0, 1, 10, 1000, 70_000]);
        fs.writeFileSync(path, Buffer.alloc(length, 'grüße \u{1f600} '));
        fs.chmodSync(path, random.pick([0o644, 0o600, 0o755, 0o4755, 0o400]));
        const time = random.pick([0, 1e9, -1000.5, 1.7e9 + 0.123456]);
        fs.utimesSync(path, time, time);
      } else if (kind === 8) fs.linkSync(join(this.home, `fifo-${root === this.roots.node ? 'n' : 'm'}`), path);
      else if (kind === 9) fs.symlinkSync(random.pick(['nowhere', 'a/b', '../nope']), path);
      else if (kind === 10) fs.symlinkSync(random.pick(['loop', 'link']), path);
      else fs.symlinkSync(random.pick(['.', 'a', 'b', 'dir', 'file']), path);
    }
    if (random.chance(0.3)) fs.writeFileSync(Buffer.concat([Buffer.from(`${root}/`), kNotUtf8]), 'odd');
    const last = folders.at(-1)!;
    if (!isRoot() && last !== root && random.chance(0.3)) fs.chmodSync(last, 0);
  }

  remove(): void {
    for (const top of Object.values(this.tops)) this.#clear(top);
    fs.rmSync(this.home, { recursive: true, force: true });
  }
}

/* The state of a tree. Times of files that were written are left out, because they differ by the clock. */
function picture(root: string): string {
  const lines: string[] = [];
  const look = (path: Buffer, name: string): void => {
    const stats = fs.lstatSync(path);
    let content = '';
    if (stats.isFile()) {
      try {
        content = fs.readFileSync(path).toString('latin1');
      } catch (error) {
        content = String((error as NodeJS.ErrnoException).code);
      }
    }
    const target = stats.isSymbolicLink() ? fs.readlinkSync(path) : '';
    const shown = content.length > 200 ? `${content.length} ${content.slice(0, 100)}` : content;
    lines.push(`${name} ${stats.mode.toString(8)} ${stats.nlink} ${shown} ${target}`);
    if (!stats.isDirectory()) return;
    let names: Buffer[] = [];
    try {
      names = fs.readdirSync(path, { encoding: 'buffer' }) as unknown as Buffer[];
    } catch {} // not readable for us
    for (const entry of names) {
      look(Buffer.concat([path, Buffer.from('/'), entry]), `${name}/${entry.toString('latin1')}`);
    }
  };
  look(Buffer.from(root), '');
  return lines.join('\n');
}

type Side = 'node' | 'mine';
/** A value for each side: paths name the side's own tree. */
type Drawn = { readonly of: (side: Side) => unknown; readonly shown: string };

const same = (value: unknown): Drawn => ({ of: () => value, shown: inspect(value, { depth: 2, breakLength: 200 }) });

/** One call of one function. */
export interface Call {
  readonly name: string;
  readonly args: readonly Drawn[];
  /** Makes the call on one side. */
  run(api: Api, args: unknown[]): Promise<unknown>;
}

/* The functions that both sides have. */
interface Api {
  readonly side: Side;
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

const nodeApi: Api = {
  ...(fs.promises as unknown as Api),
  side: 'node',
  fstat: (...args: never[]) =>
    new Promise((resolve, reject) => {
      (fs.fstat as (...rest: unknown[]) => void)(...args, (error: Error | null, stats: unknown) =>
        error ? reject(error) : resolve(stats),
      );
    }),
  mkdirp: (path: never, options: unknown) =>
    fs.promises.mkdir(path, {
      ...(typeof options === 'object' ? options : { mode: options as never }),
      recursive: true,
    } as never),
};
const acallApi: Api = { ...(acall as unknown as Api), side: 'mine' };

/* Paths as strings: paths inside the tree, and paths at which nothing can be made. */
function drawPath(random: Random, write: boolean): Drawn {
  if (random.chance(0.06)) {
    return same(
      random.pick<unknown>([
        undefined,
        null,
        5,
        true,
        {},
        [],
        'a\0b',
        Buffer.from('a\0b'),
        Symbol('s'),
        1n,
        new Uint16Array(2),
        new DataView(new ArrayBuffer(2)),
        new URL('http://host/x'),
        new URL('file://host/x'),
        new URL('file:///%00'),
        new URL('file:///a%2Fb'),
        { href: 'x' },
        new String('x'),
      ]), // prettier-ignore
    );
  }
  if (!write && random.chance(0.06)) {
    return same(
      random.pick([
        '',
        '/',
        '.',
        '/dev/null',
        '/dev/null/x',
        '/proc/version',
        '/proc/self/mem',
        '/proc/nope',
        '/nope/x',
      ]),
    ); // prettier-ignore
  }
  const parts: string[] = [];
  for (let n = random.below(4); n >= 0; n--)
    parts.push(random.pick([...kNames, '.', '..', 'new', '', 'x'.repeat(256)]));
  if (parts.filter((part) => part === '..').length * 2 >= parts.length) parts.unshift('a', 'b', 'dir'); // stays inside
  while (parts[0] === '..') parts.shift();
  let depth = 0;
  const inside = parts.filter((part) => {
    if (part === '..' && depth === 0) return false;
    depth += part === '..' ? -1 : part === '' || part === '.' ? 0 : 1;
    return true;
  });
  let text = `/${inside.join('/')}`;
  if (random.chance(0.15)) text += random.pick(['/', '//', '/.']);
  const as = random.below(8);
  const notUtf8 = random.chance(0.05);
  return {
    shown: `${['text', 'text', 'text', 'text', 'Buffer', 'Uint8Array of another realm', 'URL', 'URL of another realm'][as]} of ROOT${text}${notUtf8 ? '/f\\xff' : ''}`,
    of(side) {
      const whole = `ROOT:${side}${text}`.replace(/^ROOT:(node|mine)/, (_, one: Side) => current!.roots[one]);
      if (notUtf8) return Buffer.concat([Buffer.from(`${whole.replace(/\/+$/, '')}/`), kNotUtf8]);
      if (as < 4) return whole;
      if (as === 4) return Buffer.from(whole);
      if (as === 5) {
        const bytes = [...Buffer.from(whole)];
        return runInNewContext('Uint8Array.from(bytes)', { bytes });
      }
      const url = new URL(`file://${whole.split('/').map(encodeURIComponent).join('/')}`);
      if (as === 6) return url;
      const { href, protocol, pathname, hostname, host, search, hash } = url;
      return runInNewContext('({ ...fields })', { fields: { href, protocol, pathname, hostname, host, search, hash } });
    },
  };
}
let current: Trees | undefined;

const kEncodings = [
  'utf8',
  'utf-8',
  'UTF8',
  'buffer',
  'latin1',
  'binary',
  'ascii',
  'hex',
  'ucs2',
  'utf16le',
  'base64',
  'base64url',
  null,
  undefined,
  '',
  'klingon',
  'Buffer',
  5,
  true,
]; // prettier-ignore
const kFlags = [
  'r',
  'rs',
  'sr',
  'r+',
  'rs+',
  'sr+',
  'w',
  'wx',
  'xw',
  'w+',
  'wx+',
  'xw+',
  'a',
  'ax',
  'xa',
  'a+',
  'ax+',
  'as',
  'sa',
  'as+',
  'sa+',
  null,
  undefined,
  '',
  'rx',
  'rr',
  'R',
  'ws',
  'r ',
  0,
  1,
  2,
  fs.constants.O_RDWR | fs.constants.O_CREAT,
  fs.constants.O_DIRECTORY,
  fs.constants.O_NOFOLLOW,
  1.5,
  2 ** 31,
  true,
  {},
  5n,
]; // prettier-ignore
const kModes = [
  undefined,
  null,
  0o644,
  0o600,
  0,
  '600',
  '0755',
  '',
  '8',
  '0o7',
  1.5,
  -1,
  2 ** 32,
  Number.NaN,
  true,
  {},
  [],
  5n,
  0o7777,
]; // prettier-ignore

function drawOptions(random: Random, fields: Record<string, readonly unknown[]>): Drawn {
  const shape = random.below(10);
  if (shape < 2) return same(undefined);
  if (shape < 4 && fields.encoding !== undefined) return same(random.pick<unknown>([...kEncodings.slice(0, 16)]));
  if (shape === 4) return same(random.pick<unknown>([null, {}, [], () => {}]));
  const options: Record<string, unknown> = {};
  for (const [name, values] of Object.entries(fields)) if (random.chance(0.45)) options[name] = random.pick(values);
  return same(options);
}

/* Flags with which an open of a FIFO does not wait for its other end. */
const nonBlocking = fs.constants.O_NONBLOCK;
const withoutWait = (flags: unknown): unknown =>
  typeof flags === 'number' && Number.isInteger(flags) ? flags | nonBlocking : flags;

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
    ], // prettier-ignore
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
    ], // prettier-ignore
    run: (api, args) => api.fstat(...(args as never[])),
  }),
  (random) => ({
    name: 'readdir',
    args: [
      drawPath(random, false),
      drawOptions(random, { encoding: kEncodings, withFileTypes: [true, false, undefined, null, 1, 0, 'yes'] }),
    ], // prettier-ignore
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
      ], // prettier-ignore
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
    ], // prettier-ignore
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
      ), // prettier-ignore
      drawOptions(random, {
        encoding: kEncodings,
        flag: kFlags.map(withoutWait),
        mode: kModes,
        flush: [true, false, undefined, null, 0, 'x'],
        signal: [undefined, null, 5],
      }), // prettier-ignore
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
    ], // prettier-ignore
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
    ], // prettier-ignore
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
    ], // prettier-ignore
    () => [
      'read',
      {
        buffer: Buffer.alloc(8),
        offset: random.pick([0, 4, 9]),
        length: random.pick([undefined, 1, 4, 99]),
        position: random.pick(at),
      },
    ], // prettier-ignore
    () => ['read', random.pick<unknown>([undefined, null, {}, 'text', 5, true])],
    () => [
      'write',
      random.pick<unknown>(['text', 'ä', '', '6', '6162']),
      random.pick([undefined, null, 0, 3, 10]),
      random.pick<unknown>(['utf8', 'hex', 'latin1', 'base64', null, undefined, 'klingon', 'ucs2']),
    ], // prettier-ignore
    () => [
      'write',
      Buffer.from('0123456789'),
      random.pick([...at, ...odd.slice(0, 3)]),
      random.pick([undefined, null, 0, 4, 11, -1]),
      random.pick([undefined, null, 0, 3]),
    ], // prettier-ignore
    () => ['write', random.pick<unknown>([5, null, undefined, {}, [], true])],
    () => [
      'truncate',
      ...(random.chance(0.2) ? [] : [random.pick<unknown>([0, 1, 5, 100_000, -1, -5, 1.5, 'x', null, true, 2 ** 53])]),
    ], // prettier-ignore
    () => [random.pick(['sync', 'datasync', 'stat'])],
    () => ['stat', random.pick([{ bigint: true }, {}, { bigint: false }])],
  ];
  return random.pick(calls)().map(same);
}

/** Draws one call. */
export function drawCall(random: Random): Call {
  return random.pick(kRecipes)(random);
}

/* Fields of Stats that differ although the files are alike: the time of the last access, the inode, the device. */
const kNotCompared = new Set([
  'ino',
  'atime',
  'atimeMs',
  'atimeNs',
  'mtime',
  'mtimeMs',
  'mtimeNs',
  'ctime',
  'ctimeMs',
  'ctimeNs',
  'birthtime',
  'birthtimeMs',
  'birthtimeNs',
  'blocks',
]); // prettier-ignore

function plain(value: unknown, root: string): unknown {
  const top = join(root, '../../..');
  const text = (some: string) => some.replaceAll(root, 'ROOT').replaceAll(top, 'TOP');
  if (typeof value === 'string') return text(value);
  if (Buffer.isBuffer(value)) return ['Buffer', text(value.toString('latin1'))];
  if (ArrayBuffer.isView(value)) return ['view', value.constructor.name];
  if (Array.isArray(value)) return value.map((one) => plain(one, root));
  if (typeof value !== 'object' || value === null) return typeof value === 'bigint' ? `${value}n` : value;
  const prototype = Object.getPrototypeOf(value) as object | null;
  const fields = Reflect.ownKeys(value).map((key) => {
    const field = (value as Record<string | symbol, unknown>)[key];
    const isOfTheLook = typeof key === 'string' && kNotCompared.has(key);
    return [String(key), isOfTheLook ? typeof field : plain(field, root)];
  });
  return [prototype === null || prototype === Object.prototype ? 'Object' : prototype.constructor.name, fields];
}

/** The outcome of a call on one side. */
export interface Outcome {
  readonly value?: unknown;
  readonly error?: unknown;
  readonly code?: string;
}

async function outcomeOf(call: Call, api: Api, trees: Trees): Promise<Outcome> {
  const root = trees.roots[api.side];
  try {
    return {
      value: plain(
        await call.run(
          api,
          call.args.map((drawn) => drawn.of(api.side)),
        ),
        root,
      ),
    };
  } catch (thrown) {
    const error = thrown as NodeJS.ErrnoException & { dest?: string };
    const { name, code, errno, syscall, path, dest, message, stack } = error;
    const facts = {
      name,
      code,
      errno,
      syscall,
      path,
      dest,
      message,
      keys: Object.keys(error),
      text: String(error),
      head: stack?.split('\n    at')[0],
      printed: inspect(error)
        .split('\n    at')[0]!
        .split(' {\n')[0]!
        .replace(/^\[|\]$/g, ''),
    }; // prettier-ignore
    return { error: plain(facts, root), ...(code === undefined ? {} : { code }) };
  }
}

/* The documented differences between acall and this node:fs: docs/limits.md. */
function isMeant(call: Call, node: Outcome, mine: Outcome): boolean {
  const drawn = call.args.map((arg) => arg.of('mine'));
  const refused = mine.code?.startsWith('ERR_') === true;
  // TypeErrors of V8, where node:fs reads properties of undefined or null.
  if (node.error !== undefined && node.code === undefined && refused) return true;
  const isBytes = (value: unknown) => ArrayBuffer.isView(value) || (value instanceof Object && 'href' in value);
  switch (call.name) {
    case 'readdir, recursive':
      // Node before 26 takes no bytes here, and does not find names that are not UTF-8.
      return node.error !== undefined && (isBytes(drawn[0]) || JSON.stringify(node.error).includes('\ufffd'));
    case 'readFile':
      // Both refuse it; node:fs 20 does so only after it has opened the file.
      return node.code === 'ERR_UNKNOWN_ENCODING' && mine.error !== undefined;
    case 'copyFile': {
      // node:fs removes an existing target when the source is a folder, or when blocks must be shared and cannot be; acall does not
      // touch it.
      const mustShare = (Number(drawn[2]) & fs.constants.COPYFILE_FICLONE_FORCE) !== 0;
      return mine.code === node.code && (node.code === 'EISDIR' || (node.code === 'ENOTSUP' && mustShare));
    }
    case 'FileHandle':
      // Positions that node:fs 20 ignores.
      return (
        refused &&
        node.error === undefined &&
        drawn.slice(3).some((value) => [1.5, 'x', -2, true].includes(value as never))
      ); // prettier-ignore
    default:
      return false;
  }
}

/* Calls that would not end: on a FIFO whose other end nobody opens, and on links that lead to each other. */
function mayNotEnd(call: Call, trees: Trees): boolean {
  if (/stat|mkdirp/.test(call.name) || call.name === 'readdir') return false;
  if (call.name === 'readdir, recursive') {
    const toFolders = (folder: string): number =>
      fs.readdirSync(folder, { withFileTypes: true }).reduce((sum, entry) => {
        const path = join(folder, entry.name);
        if (entry.isDirectory()) return sum + safely(() => toFolders(path), 0);
        const leads = entry.isSymbolicLink() && safely(() => fs.statSync(path).isDirectory(), false);
        return sum + (leads ? 1 : 0);
      }, 0);
    return toFolders(trees.roots.node) > 1;
  }
  const drawn = call.args.map((arg) => arg.of('node'));
  const options = drawn.at(-1) as { flag?: unknown } | undefined;
  const flag = call.name === 'open' ? drawn[1] : options?.flag;
  if (typeof flag === 'number' && flag & nonBlocking) return false;
  return drawn.some((path) => safely(() => fs.statSync(path as string).isFIFO(), false));
}

function safely<T>(look: () => T, otherwise: T): T {
  try {
    return look();
  } catch {
    return otherwise;
  }
}

const kCallMs = 20_000;

/** Makes `count` calls, which `seed` alone determines. Returns the first difference, or undefined. */
export async function compare(
  seed: number,
  count: number,
  until = Number.POSITIVE_INFINITY,
): Promise<string | undefined> {
  const random = new Random(seed);
  const trees = new Trees();
  current = trees;
  try {
    for (let i = 0; i < count && performance.now() < until; i++) {
      if (i % 12 === 0) trees.fill(random);
      const call = drawCall(random);
      if (mayNotEnd(call, trees)) continue;
      const told = `seed ${seed}, call ${i}: ${call.name}(${call.args.map((arg) => arg.shown).join(', ')})`;
      const late = setTimeout(() => {
        process.stdout.write(`${told} does not end\n`);
        process.exit(1);
      }, kCallMs);
      const mine = await outcomeOf(call, acallApi, trees);
      const node = await outcomeOf(call, nodeApi, trees);
      clearTimeout(late);
      const alike = inspect(mine, { depth: 9 }) === inspect(node, { depth: 9 });
      if (!alike || isMeant(call, node, mine)) {
        if (!isMeant(call, node, mine)) {
          return `${told}\nnode:fs ${inspect(node, { depth: 9 })}\nacall   ${inspect(mine, { depth: 9 })}`;
        }
        trees.fill(random);
        continue;
      }
      const [hers, ours] = [picture(trees.tops.node), picture(trees.tops.mine)];
      if (hers !== ours) return `${told}\nthe tree of node:fs\n${hers}\nthe tree of acall\n${ours}`;
    }
    return undefined;
  } finally {
    trees.remove();
  }
}

/** The program of a child process: makes pieces of 250 calls, each with a seed that repeats the piece alone. */
export async function main(options: { seed: number; calls: number; ms?: number; user?: number }): Promise<void> {
  if (options.user !== undefined) {
    process.setgroups!([]);
    process.setgid!(options.user);
    process.setuid!(options.user);
  }
  const until = options.ms === undefined ? Number.POSITIVE_INFINITY : performance.now() + options.ms;
  const kPiece = 250;
  let done = 0;
  for (let piece = 0; done < options.calls && performance.now() < until; piece++) {
    const seed = (options.seed + piece) % 2 ** 32;
    const count = Math.min(kPiece, options.calls - done);
    const difference = await compare(seed, count, until);
    if (difference !== undefined) {
      process.stdout.write(`${difference}\n`);
      process.exitCode = 1;
      return;
    }
    done += count;
  }
  process.stdout.write(`${done} calls, all alike\n`);
}
