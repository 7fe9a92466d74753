/* acall walk [ROOT...] */
import { pathArgument } from '../fs/paths';
import { TreeReader } from '../fs/tree/tree-reader';
import { walk } from '../fs/tree/walk';
import { JobOption, Wire } from '../generated/wire';
import { numbersOf, printable, typeOf } from './entries';
import { complain, Exit, messageOf, Progress, write } from './output';

interface WalkCommandOptions {
  json?: boolean;
  stats?: boolean;
  maxDepth?: number;
  oneFileSystem?: boolean;
  null?: boolean;
}

/* Prints paths as the bytes that they are, page by page, without making strings of them. */
async function* plain(
  root: string,
  options: WalkCommandOptions,
  fail: (error: unknown) => void,
): AsyncGenerator<[count: number, text: Uint8Array | string]> {
  const flags = options.oneFileSystem ? JobOption.oneFileSystem : 0;
  const reader = new TreeReader(pathArgument(root), flags, options.maxDepth ?? Wire.noDepthLimit, true, undefined);
  const end = options.null ? 0 : 0x0a;
  for (let found = await reader.next(); found !== undefined; found = await reader.next()) {
    found.errors.forEach(fail);
    for (const { text, rows } of found.pages) {
      const bytes = Buffer.allocUnsafe((text as ArrayBuffer).byteLength + 1);
      bytes.set(new Uint8Array(text as ArrayBuffer));
      bytes[bytes.length - 1] = 0;
      if (end !== 0) for (let at = bytes.indexOf(0); at >= 0; at = bytes.indexOf(0, at + 1)) bytes[at] = end;
      yield [
        rows,
        !options.null && process.stdout.isTTY ? bytes.toString().split('\n').map(printable).join('\n') : bytes,
      ];
    }
  }
}

async function* asJson(
  root: string,
  options: WalkCommandOptions,
  fail: (error: unknown) => void,
): AsyncGenerator<[count: number, text: string]> {
  const { maxDepth, stats = false, oneFileSystem = false } = options;
  for await (const batch of walk(root, { stats, maxDepth, oneFileSystem, onError: fail }).batches()) {
    const lines = batch.map((entry) => {
      const { path, name, depth, error } = entry;
      const numbers = entry.stats === undefined ? {} : numbersOf(entry.stats);
      return `${JSON.stringify({ path, name, depth, type: typeOf(entry), ...numbers, error: error?.code })}\n`;
    });
    yield [batch.length, lines.join('')];
  }
}

/** Prints every path below the roots as it is found. For a folder that cannot be read it prints one line on stderr and goes on. */
export async function walkCommand(roots: readonly string[], options: WalkCommandOptions): Promise<void> {
  let failed = false;
  let seen = 0;
  const progress = new Progress();
  const fail = (error: unknown): void => {
    failed = true;
    progress.end();
    complain(messageOf(error));
  };
  for (const root of roots) {
    try {
      for await (const [count, text] of (options.json || options.stats ? asJson : plain)(root, options, fail)) {
        seen += count;
        if (!process.stdout.isTTY) progress.show(() => `${seen} entries`);
        const pending = write(text);
        if (pending) await pending;
      }
    } catch (error) {
      fail(error);
    }
  }
  progress.end();
  if (failed) throw new Exit(1);
}
