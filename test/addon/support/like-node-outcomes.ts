/* What comes of a call on either side, and where the two may differ. */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import * as acall from 'acall';
import { nonBlocking } from './like-node-arguments';
import type { Api, Call } from './like-node-calls';
import type { Trees } from './like-node-trees';

export const nodeApi: Api = {
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
export const acallApi: Api = { ...(acall as unknown as Api), side: 'mine' };

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
]);

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
interface Outcome {
  readonly value?: unknown;
  readonly error?: unknown;
  readonly code?: string;
}

export async function outcomeOf(call: Call, api: Api, trees: Trees): Promise<Outcome> {
  const root = trees.roots[api.side];
  try {
    return {
      value: plain(
        await call.run(
          api,
          call.args.map((drawn) => drawn.of(root)),
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
    };
    return { error: plain(facts, root), ...(code === undefined ? {} : { code }) };
  }
}

/* The documented differences between acall and this node:fs: docs/limits.md. */
export function isMeant(call: Call, trees: Trees, node: Outcome, mine: Outcome): boolean {
  const drawn = call.args.map((arg) => arg.of(trees.roots.mine));
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
      );
    default:
      return false;
  }
}

/* Calls that would not end: on a FIFO whose other end nobody opens, and on links that lead to each other. */
export function mayNotEnd(call: Call, trees: Trees): boolean {
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
  const drawn = call.args.map((arg) => arg.of(trees.roots.node));
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
