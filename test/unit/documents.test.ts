// Everything that a document names exists: paths, links, npm scripts, sub-commands, environment variables, functions.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(__dirname, '../..');

const folder = (name: string) => (existsSync(join(root, name)) ? readdirSync(join(root, name)) : []);
const documents = [...folder('.'), ...folder('docs').map((name) => `docs/${name}`)].filter((name) =>
  name.endsWith('.md'),
);
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

const textUnder = (path: string): string =>
  folder(path)
    .map((name) => join(path, name))
    .map((name) => {
      if (statSync(join(root, name)).isDirectory()) return textUnder(name);
      return /\.(cc|h|S|inc|ts|mjs|txt|c)$/.test(name) ? readFileSync(join(root, name), 'utf8') : '';
    })
    .join('\n');

/** Everything that may define a name: the code, the core's tests and the scripts, as one text. */
const code = ['native', 'lib', 'scripts', 'test/core', 'bench', 'examples'].map(textUnder).join('\n');
const words = new Set(code.match(/[A-Za-z_]\w*/g));
/** Names of Node and of JavaScript that a document may mention too. */
const foreign = new Set(
  ['Promise', 'AbortSignal', 'process', 'Atomics', 'worker', 'require', 'import', 'console'].concat(
    Object.getOwnPropertyNames(globalThis),
    ...['node:fs', 'node:process', 'node:worker_threads', 'node:child_process'].map((name) =>
      Object.keys(require(name)),
    ),
  ),
);

describe.each(documents)('%s', (name) => {
  const text = readFileSync(join(root, name), 'utf8');
  const prose = text.replace(/^```[\s\S]*?^```/gm, '');
  const quoted = [...prose.matchAll(/`([^`\n]+)`/g)].map((match) => match[1]!);

  it('links to files and headings that exist', () => {
    const slug = (heading: string) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replace(/\s/g, '-');
    const broken = [...prose.matchAll(/\]\(([^)\s]+)\)|<img[^>]*src="([^"]+)"/g)]
      .map((match) => (match[1] ?? match[2])!)
      .filter((target) => !/^[a-z]+:/.test(target))
      .filter((target) => {
        const [path, anchor] = target.split('#') as [string, string?];
        const file = path === '' ? join(root, name) : join(root, dirname(name), path);
        if (!existsSync(file)) return true;
        if (anchor === undefined || !file.endsWith('.md')) return false;
        const headings = [...readFileSync(file, 'utf8').matchAll(/^#+ (.*)$/gm)].map((match) => slug(match[1]!));
        return !headings.includes(anchor);
      });
    expect(broken).toEqual([]);
  });

  it('names paths of the tree that exist', () => {
    const paths = quoted.filter((word) => /^(native|lib|test|bench|examples|docs|scripts|\.ci)\/[\w./-]*$/.test(word));
    expect(paths.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });

  it('names npm scripts that exist', () => {
    const named = [...text.matchAll(/npm run (?:-\S+ )*([\w:-]+)/g)].map((match) => match[1]!);
    expect(named.filter((script) => scripts[script] === undefined)).toEqual([]);
  });

  it('names environment variables that something reads', () => {
    const named = text.match(/\bACALL_(?!SUBMIT_)[A-Z][A-Z_]+\b/g) ?? [];
    expect(named.filter((variable) => !words.has(variable))).toEqual([]);
  });

  it('names functions that exist', () => {
    const called = quoted.flatMap((word) => /^(?:[\w.]+\.)?([A-Za-z_]\w*)\(.*\)$/.exec(word)?.[1] ?? []);
    expect(called.filter((callee) => !words.has(callee) && !foreign.has(callee))).toEqual([]);
  });

  it('names sub-commands that exist', () => {
    const named = [...text.matchAll(/^\s*(?:\$ )?(?:npx )?acall ([a-z]+)\b/gm)].map((match) => match[1]!);
    const source = textUnder('lib/cli');
    expect(named.filter((command) => !new RegExp(`(command|name)\\(\\s*['"\`]${command}\\b`).test(source))).toEqual([]);
  });
});
