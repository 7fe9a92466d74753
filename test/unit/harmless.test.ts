// What tests, examples, benchmarks and documents must not do to the machine that they run on, as far as their text shows it.
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(__dirname, '../..');

function filesUnder(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesUnder(path) : [path];
  });
}

const texts = new Map(
  [
    ...['test', 'examples', 'bench', 'docs', 'lib', 'scripts', '.ci'].flatMap((name) => filesUnder(join(root, name))),
    ...readdirSync(root)
      .filter((name) => name.endsWith('.md'))
      .map((name) => join(root, name)),
  ]
    .filter((path) => /(\.(ts|mjs|cjs|cc|c|h|md)|\.ci\/run)$/.test(path))
    .map((path) => [relative(root, path), readFileSync(path, 'utf8')]),
);

/** The lines of all texts that match a forbidden pattern, as "file:line: text". */
function linesWith(wrong: RegExp): string[] {
  return [...texts].flatMap(([name, text]) =>
    text.split('\n').flatMap((line, i) => (wrong.test(line) ? [`${name}:${i + 1}: ${line.trim()}`] : [])),
  );
}

describe('code that runs on a user’s machine', () => {
  it('is found', () => {
    for (const name of [
      'README.md',
      'test/unit/harmless.test.ts',
      'test/core/support/check.h',
      'examples/demo.mjs',
      '.ci/run',
    ])
      expect(texts.has(name), name).toBe(true);
  });

  it('uses no fixed name in a folder that others share: two users, or two runs, would meet there', () => {
    expect(linesWith(/(?<![\w.$})])\/(?:var\/tmp|tmp|dev\/shm|run\/lock)\/[\w$%{-]/)).toEqual([]);
    expect(linesWith(/(?<!mkdtemp(?:Sync)?\()\bjoin\((?:os\.)?tmpdir\(\)/)).toEqual([]);
  });

  it('replaces, removes and mounts nothing in /dev, /etc or /usr', () => {
    const target = String.raw`\(\s*['"\`]\/(?:dev|etc|usr)\/(?!shm\b)`;
    const changing =
      'rm|rmSync|unlink|unlinkSync|rmTree|truncate|rename|chmod|chown|mkdir|mkdtemp|symlink|mount|umount';
    expect(linesWith(new RegExp(String.raw`\b(?:${changing})(?:Sync)?${target}`))).toEqual([]);
    expect(linesWith(/writeFile(?:Sync)?\(\s*['"`]\/(?:dev|etc|usr)\//)).toEqual([]);
  });

  it('skips by name: a test that says SKIPPED and returns has passed', () => {
    const saying = linesWith(/(?:console\.\w+|printf|puts)\(.*SKIPPED/).filter(
      (line) => line.startsWith('test/') && !/^test\/(?:core\/support\/check\.h|support\/skip\.ts):/.test(line),
    );
    expect(saying).toEqual([]);
  });
});
