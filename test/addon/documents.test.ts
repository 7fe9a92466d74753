// The examples in the documents run: every ```js block of README.md and docs/*.md is a program of its own, an ES module or,
// where it calls require, CommonJS. It must succeed within 50 s. A block that is no program is marked ```js fragment.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(__dirname, '../..');
const docs = existsSync(join(root, 'docs')) ? readdirSync(join(root, 'docs')).map((name) => `docs/${name}`) : [];

/** The programs of a document by the line they start at. */
function programs(document: string): { line: number; text: string }[] {
  const text = readFileSync(join(root, document), 'utf8');
  return [...text.matchAll(/^```js[ \t]*\n([\s\S]*?)^```$/gm)].map((match) => ({
    line: text.slice(0, match.index).split('\n').length + 1,
    text: match[1]!,
  }));
}

const documents = ['README.md', ...docs].filter((name) => name.endsWith('.md') && existsSync(join(root, name)));

describe.each(documents.filter((name) => programs(name).length > 0))('%s', (document) => {
  it.each(programs(document))('runs the example at line $line', ({ line, text }) => {
    // Inside the package, where 'acall' means the package itself; its working directory is a new folder.
    const folder = join(root, 'build-core', 'documents');
    mkdirSync(folder, { recursive: true });
    const program = join(folder, `${document.replace(/\W/g, '-')}-${line}.${/\brequire\(/.test(text) ? 'cjs' : 'mjs'}`);
    writeFileSync(program, text);
    const cwd = mkdtempSync(join(tmpdir(), 'acall-documents-'));
    const { status, signal, stdout, stderr } = spawnSync(process.execPath, [program], {
      cwd,
      encoding: 'utf8',
      timeout: 50_000,
    });
    rmSync(cwd, { recursive: true, force: true });
    expect(status, `${signal ?? ''}\n${stdout}${stderr}`).toBe(0);
  });
});
