// Prints the paths of the source lists given, one per line, for binding.gyp and the lint.
// Usage: node scripts/list-sources.mjs [--arch x64|arm64] <list>...
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(fileURLToPath(import.meta.url), '..', '..');
const folders = { x64: 'x86_64', arm64: 'aarch64' };

/**
 * Reads one list: a path per line, relative to the root; `#` starts a comment; `{arch}` stands for the folder of the
 * target architecture under native/arch. CMakeLists.txt reads the same lists by the same rules.
 */
export function readSources(list, arch = process.arch) {
  const folder = folders[arch];
  if (folder === undefined) throw new Error(`acall has no code for the architecture ${arch}`);
  return readFileSync(join(root, list), 'utf8')
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '')
    .map((line) => line.replaceAll('{arch}', folder));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const args = process.argv.slice(2);
  const at = args.indexOf('--arch');
  const arch = at < 0 ? process.arch : args.splice(at, 2)[1];
  console.log(args.flatMap((list) => readSources(list, arch)).join('\n'));
}
