/* Arguments drawn at random: paths inside a tree, options, flags and modes, good ones and bad ones. */
import * as fs from 'node:fs';
import { inspect } from 'node:util';
import { runInNewContext } from 'node:vm';
import { kNames, kNotUtf8 } from './like-node-trees';
import type { Random } from './random';

/** A value for each side: paths name the side's own tree. */
export type Drawn = { readonly of: (root: string) => unknown; readonly shown: string };

export const same = (value: unknown): Drawn => ({
  of: () => value,
  shown: inspect(value, { depth: 2, breakLength: 200 }),
});

/* Paths as strings: paths inside the tree, and paths at which nothing can be made. */
export function drawPath(random: Random, write: boolean): Drawn {
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
      ]),
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
    );
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
    of(root) {
      const whole = `${root}${text}`;
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
export const kEncodings = [
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
];
export const kFlags = [
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
];
export const kModes = [
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
];

export function drawOptions(random: Random, fields: Record<string, readonly unknown[]>): Drawn {
  const shape = random.below(10);
  if (shape < 2) return same(undefined);
  if (shape < 4 && fields.encoding !== undefined) return same(random.pick<unknown>([...kEncodings.slice(0, 16)]));
  if (shape === 4) return same(random.pick<unknown>([null, {}, [], () => {}]));
  const options: Record<string, unknown> = {};
  for (const [name, values] of Object.entries(fields)) if (random.chance(0.45)) options[name] = random.pick(values);
  return same(options);
}

/* Flags with which an open of a FIFO does not wait for its other end. */
export const nonBlocking = fs.constants.O_NONBLOCK;
export const withoutWait = (flags: unknown): unknown =>
  typeof flags === 'number' && Number.isInteger(flags) ? flags | nonBlocking : flags;
