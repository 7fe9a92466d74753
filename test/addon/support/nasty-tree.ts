/* A tree with everything that is difficult to walk, copy or remove. */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface NastyTree {
  readonly root: string;
  remove(): void;
}

/** Makes links of every kind, loops, FIFOs, sockets, sparse and empty files, names that are not UTF-8, 1,200 nested folders. */
export async function nastyTree(): Promise<NastyTree> {
  const root = fs.mkdtempSync(join(tmpdir(), 'acall-nasty-'));
  const at = (...parts: string[]) => join(root, ...parts);
  fs.mkdirSync(at('folder/inner/empty'), { recursive: true });
  fs.writeFileSync(at('file'), 'content');
  fs.writeFileSync(at('empty'), '');
  fs.writeFileSync(at('folder/large'), Buffer.alloc(300_000, 'x'));
  fs.writeFileSync(at('sparse'), '');
  fs.truncateSync(at('sparse'), 10 * 1024 * 1024);
  fs.writeFileSync(at('old'), 'x');
  fs.utimesSync(at('old'), new Date(-1234), new Date(12_345.678));
  fs.chmodSync(at('old'), 0o4711);
  fs.linkSync(at('folder/large'), at('folder/inner/second name'));
  fs.linkSync(at('folder/large'), at('third name'));
  fs.symlinkSync('file', at('link'));
  fs.symlinkSync('folder', at('link to folder'));
  fs.symlinkSync('nowhere', at('dangling'));
  fs.symlinkSync('circle two', at('circle one'));
  fs.symlinkSync('circle one', at('circle two'));
  fs.symlinkSync('../..', at('folder/inner/up'));
  execFileSync('mkfifo', [at('fifo')]);
  for (const name of [
    'new\nline',
    'tab\tquote"',
    '-dash',
    ' ',
    'grüße',
    '\u{1f600}',
    '\uffee',
    'x'.repeat(255),
    '...',
  ]) {
    fs.writeFileSync(at('folder/inner', name), name);
  }
  const inner = Buffer.from(at('folder/inner/'));
  for (const bytes of [[0xff], [0x66, 0x80, 0x6f], [0xe2, 0x82], [0xed, 0xa0, 0x80]]) {
    fs.writeFileSync(Buffer.concat([inner, Buffer.from(bytes)]), 'no UTF-8');
  }
  fs.mkdirSync(at('many'));
  for (let i = 0; i < 3000; i++) fs.writeFileSync(at('many', `entry ${i}`), 'x'.repeat(i % 7));
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(at('socket'), resolve));
  const home = process.cwd();
  process.chdir(root);
  for (let i = 0; i < 1200; i++) {
    fs.mkdirSync('deeper');
    process.chdir('deeper');
  }
  fs.writeFileSync('bottom', 'found');
  process.chdir(home);
  return {
    root,
    remove() {
      server.close();
      execFileSync('rm', ['-rf', root]);
    },
  };
}
