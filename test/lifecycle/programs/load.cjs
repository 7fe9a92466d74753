/* A program of clients.test.ts that loads a package and nothing else. */

/** @param {string} path */
function load(path) {
  try {
    require(path);
    return { code: 'none', message: '' };
  } catch (error) {
    const { code, message } = /** @type {NodeJS.ErrnoException} */ (error);
    return { code, message };
  }
}

module.exports = { load };
