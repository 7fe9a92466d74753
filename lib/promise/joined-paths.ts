/* Many paths as one argument of the addon. */

const kNul = new Uint8Array(1);

/** Joins paths with NULs: a string when all of them are strings, otherwise bytes. */
export function joinPaths(paths: readonly (string | Uint8Array)[]): string | Uint8Array {
  if (paths.every((path) => typeof path === 'string')) return paths.join('\0');
  const parts: Uint8Array[] = [];
  for (const path of paths) {
    if (parts.length > 0) parts.push(kNul);
    parts.push(typeof path === 'string' ? Buffer.from(path) : path);
  }
  return Buffer.concat(parts);
}
