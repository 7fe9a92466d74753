import { readdirSync, readFileSync } from 'node:fs';
import os from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { wireValues } from '../support/wire.ts';

const root = resolve(__dirname, '../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const sources = readdirSync(join(root, 'lib'), { recursive: true, encoding: 'utf8' })
  .map((name) => join('lib', name))
  .filter((path) => path.endsWith('.ts') && !path.startsWith('lib/generated/') && !path.startsWith('lib/cli/'));

/** Names of what wire.h declares, as constants are called here: kUnreferenced. */
const declared = new Set(
  [...wireValues().keys()]
    .map((name) => name.split('.')[1]!)
    .map((name) => `k${name[0]!.toUpperCase()}${name.slice(1)}`),
);

/** Numbers that look like a part of a private format. */
const patterns: readonly (readonly [what: string, pattern: RegExp])[] = [
  ['a negative number', /(?<![\w)\]}.] ?)-(?!1\b|0x8)\d[\d_]*\b(?! ?\*\*)/g],
  ['an error', /SyscallError\(-\d/g],
  ['a mask or a flag', /[&|] ?~?(?:0x[\da-f_]+|[2-9]|\d{2,})(?![\dn]*n)\b/gi],
  ['a field by its place', /\[[^\][\n]*\+ \d+\]/g],
  ['a field by its place', /\b(?:words|numbers|facts|answers|header|record)\[\d+\]/g],
  ['a field by its offset', /\.(?:get|set|read|write)(?:Big)?U?[Ii]nt\d+(?:LE)?\((?:\w+ \+ )?\d/g],
  ['an offset in words', />> 2\) \+ \d/g],
  ['a stride', /\w \+= (?:[3-9]|\d{2,})\)/g],
];

/** What looks like one and is none: numbers of JavaScript's own, of Node, or of text. */
const innocent: readonly string[] = [
  'lib/fs/stat/columns.ts: [low + 1]', // the upper half of 64 bits
  'lib/memory/ring.ts: [at + 1]', // of a completion's two words
  'lib/call/layout.ts: & ~15', // where data is put that any alignment would do for
];

/** Code without comments and texts. */
const codeOf = (text: string) =>
  text.replace(/\/\*[\s\S]*?\*\/|\/\/.*|'(?:[^'\\\n]|\\.)*'|`[^`$]*`/g, (match) => match.replace(/[^\n]/g, ''));

function wireNumbers(path: string, text: string): string[] {
  const code = codeOf(text);
  const found = patterns.flatMap(([, pattern]) => [...code.matchAll(pattern)].map(([match]) => `${path}: ${match}`));
  const named = [...code.matchAll(/\bconst (k\w+)(?:: number)? = -?\d\w*;/g)]
    .filter(([, name]) => declared.has(name!))
    .map(([match]) => `${path}: ${match}`);
  return [...found, ...named];
}

describe('numbers of the private formats', () => {
  it.each([
    'if (status === -11) again();',
    'throw new SyscallError(-1, name);',
    'const kUnreferenced = 4;',
    'const kSlotChunkBits = 12;',
    'words[4] |= kKeep;',
    'const status = answers[at + 6]! | 0;',
    'const place = slot & 4095;',
    'if (flags & 0x100) follow();',
    'view.setUint32(at + 12, status, true);',
    'view.getUint32(16, true);',
    'words[(at >> 2) + 6] = 0;',
    'for (let run = 0; run < runs.length; run += 3) {}',
  ])('are found: %s', (line) => {
    expect(wireNumbers('lib/x.ts', line)).not.toEqual([]);
  });

  it('are typed nowhere in lib/', () => {
    expect(sources.length).toBeGreaterThan(50);
    const found = new Set(sources.flatMap((path) => wireNumbers(path, read(path))));
    expect([...found].filter((entry) => !innocent.includes(entry))).toEqual([]);
    expect(innocent.filter((entry) => !found.has(entry))).toEqual([]);
  });

  it('cost nothing: they stand in what is built as numbers, and no module of names is loaded', () => {
    const built = readdirSync(join(root, 'dist')).filter((name) => /^modules-.*\.js$/.test(name));
    expect(built.length).toBe(1);
    expect(read(join('dist', built[0]!))).not.toContain('generated/wire');
    expect(codeOf(read('dist/generated/wire.js'))).not.toContain('var ');
  });
});

describe('errors', () => {
  it('have the numbers that Node knows', () => {
    const ours = new Map(
      [...read('lib/generated/wire.ts').matchAll(/\b(E[A-Z0-9]+) = (\d+)/g)].map(([, name, number]) => [
        name!,
        Number(number),
      ]),
    );
    const known = Object.entries(os.constants.errno).filter(([name]) => name !== 'EDEADLOCK');
    expect(known.length).toBeGreaterThan(70);
    expect(known.filter(([name, number]) => ours.get(name) !== number)).toEqual([]);
  });
});
