/* acall du [ROOT...] */
import { du } from '../fs/tree/du';
import { complain, Exit, line, messageOf, Progress, sizeText } from './output';

interface DuCommandOptions {
  json?: boolean;
  apparentSize?: boolean;
  oneFileSystem?: boolean;
  bytes?: boolean;
}

/** Prints the sum of each root: bytes as GNU `du -s -B1` (or -b) prints them, on a terminal in units for people. */
export async function duCommand(roots: readonly string[], options: DuCommandOptions): Promise<void> {
  let failed = false;
  let reported = 0;
  const progress = new Progress();
  for (const root of roots) {
    reported = 0;
    try {
      const sum = await du(root, {
        apparentSize: options.apparentSize ?? false,
        oneFileSystem: options.oneFileSystem ?? false,
        onError: (error) => {
          reported++;
          progress.end();
          complain(messageOf(error));
        },
        onProgress: (now) =>
          progress.show(() => `${root}: ${sizeText(now.bytes)} in ${now.files} files, ${now.directories} directories`),
      });
      progress.end();
      const { bytes, files, directories, errors } = sum;
      if (options.json) await line(JSON.stringify({ bytes, files, directories, errors }));
      else if (process.stdout.isTTY && !options.bytes)
        await line(`${sizeText(bytes).padStart(9)}  ${root}  ${files} files, ${directories} directories`);
      else await line(`${bytes}\t${root}`);
      if (errors > 0) {
        failed = true;
        if (errors > reported) complain(`${errors - reported} more entries of '${root}' could not be read`);
      }
    } catch (error) {
      failed = true;
      progress.end();
      complain(messageOf(error));
    }
  }
  if (failed) throw new Exit(1);
}
