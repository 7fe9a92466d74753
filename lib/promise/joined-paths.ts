/* Many paths as one argument of the addon. */

const kNul = new Uint8Array(1);

/** Paths joined by NULs: text where all of them are text, else bytes. */
export function joinPaths(paths: readonly (string | Uint8Array)[]): string | Uint8Array {
  if (paths.every((path) => typeof path === 'string')) return paths.join('\0');
  const parts: Uint8Array[] = [];
  for (const path of paths) {
    if (parts.length > 0) parts.push(kNul);
    parts.push(typeof path === 'string' ? Buffer.from(path) : path);
  }
  return Buffer.concat(parts);
}
