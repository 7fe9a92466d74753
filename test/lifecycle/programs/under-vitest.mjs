/* under-runner.cjs in a test file of vitest, which leaves to Node what is required here, and purges none of it. */
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/** @param {any} test @param {any} expect @param {any} vi */
export default function run(test, expect, vi) {
  require('./under-runner.cjs')(() => require('acall'), test, expect, {
    resetModules() {
      for (const name of Object.keys(require.cache)) if (!name.endsWith('.node')) delete require.cache[name];
    },
    useFakeTimers: () => vi.useFakeTimers(),
    useRealTimers: () => vi.useRealTimers(),
  });
}
