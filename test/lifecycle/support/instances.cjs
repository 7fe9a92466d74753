/* Loads the modules of acall again, as a purged cache does; the addon's exports stay what they are. */
const { dirname, sep } = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

const dist = dirname(require.resolve('acall')) + sep;

/** @returns {typeof import('acall')} */
function fresh() {
  for (const name of Object.keys(require.cache)) if (name.startsWith(dist)) delete require.cache[name];
  /** @type {NodeJS.Module} */ (require.cache[__filename]).children.length = 0;
  return require(dist);
}

/**
 * Collects garbage until the condition holds; finalizers run between turns.
 * @param {() => boolean} condition
 */
async function collect(condition) {
  for (let i = 0; i < 50; i++) {
    await sleep(1); // what deref() has shown stays until the next turn
    global.gc?.();
    await sleep(1);
    if (condition()) return true;
  }
  return false;
}

module.exports = { fresh, collect };
