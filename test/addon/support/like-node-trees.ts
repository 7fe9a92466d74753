/* Two equal trees, for node:fs and for acall, and what a tree looks like. */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Random } from './random';

export const kNames = [
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
export const kNotUtf8 = Buffer.from([0x66, 0xff, 0x6f]);
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
export function picture(root: string): string {
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
