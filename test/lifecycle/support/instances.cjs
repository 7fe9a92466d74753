/* Loads the modules of acall again, as a purged cache does; the addon's exports stay what they are. */
const { dirname, sep } = require('node:path');

const dist = dirname(require.resolve('acall')) + sep;

function fresh(path = dist) {
  for (const name of Object.keys(require.cache)) if (name.startsWith(dist)) delete require.cache[name];
  module.children.length = 0;
  return require(path);
}

/** Collects garbage until the condition holds; finalizers run between turns. */
async function collect(condition) {
  for (let i = 0; i < 50; i++) {
    await new Promise((resolve) => setTimeout(resolve, 1)); // what deref() has shown stays until the next turn
    global.gc();
    await new Promise((resolve) => setTimeout(resolve, 1));
    if (condition()) return true;
  }
  return false;
}

module.exports = { fresh, collect, dist };
