/* acall walk ROOT... */
import type { Stats } from 'node:fs';
import { walk } from '../fs/walk';
import { numbersOf, typeOf } from './entries';
import { complain, Exit, messageOf, Progress, write } from './output';

export interface WalkCommandOptions {
  json?: boolean;
  stats?: boolean;
  maxDepth?: number;
  oneFileSystem?: boolean;
  null?: boolean;
}

/** Every path below the roots, as it is found; what cannot be read costs one line on stderr and the walk goes on. */
export async function walkCommand(roots: readonly string[], options: WalkCommandOptions): Promise<void> {
  let failed = false;
  let seen = 0;
  const progress = new Progress();
  for (const root of roots) {
    try {
      const found = walk(root, {
        stats: options.stats ?? false,
        ...(options.maxDepth === undefined ? {} : { maxDepth: options.maxDepth }),
        oneFileSystem: options.oneFileSystem ?? false,
        ...(options.null && !options.json ? { encoding: 'buffer' as const } : {}),
        onError: (error: Error) => {
          failed = true;
          progress.end();
          complain(messageOf(error));
        },
      });
      for await (const batch of found.batches()) {
        const pieces: (string | Uint8Array)[] = [];
        for (const entry of batch) {
          if (options.json) {
            const stats = entry.stats as Stats | undefined;
            const fields = { path: entry.path, name: entry.name, depth: entry.depth, type: typeOf(entry) };
            pieces.push(`${JSON.stringify({ ...fields, ...(stats ? numbersOf(stats) : {}) })}\n`);
          } else if (options.null) pieces.push(entry.path as unknown as Uint8Array, '\0');
          else pieces.push(`${entry.path}\n`);
        }
        seen += batch.length;
        progress.show(() => `${seen} entries`);
        const pending = write(
          options.null && !options.json ? Buffer.concat(pieces.map((piece) => Buffer.from(piece))) : pieces.join(''),
        );
        if (pending) await pending;
      }
    } catch (error) {
      failed = true;
      progress.end();
      complain(messageOf(error));
    }
  }
  progress.end();
  if (failed) throw new Exit(1);
}
