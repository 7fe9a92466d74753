/** Where the benchmarks keep what they make once: in the checkout, since a fixed name in a shared folder may be another user's. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../../build-core/bench', import.meta.url));

/**
 * @param {...string} names
 * @returns {string} the path of these names below the scratch folder, which exists
 */
export function scratch(...names) {
  mkdirSync(folder, { recursive: true });
  return join(folder, ...names);
}
