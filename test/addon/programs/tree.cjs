/* A program of tree.test.ts, for a user without rights: it requires nothing that such a user may not read. */
const { du, readdir, walk } = require('acall');
const { join } = require('node:path');

/** @param {string} folder one whose folder `b` nobody may read */
async function lookAtUnreadable(folder) {
  /** @type {unknown[]} */
  const errors = [];
  /** @type {string[]} */
  const told = [];
  const messageOf = (/** @type {Promise<unknown>} */ promise) => promise.catch(({ message }) => String(message));
  const entries = await walk(folder, {
    onError: ({ code, syscall, path }) => void errors.push({ code, syscall, path }),
  }).collect();
  const rejected = await messageOf(walk(folder).collect());
  const stopped = walk(folder, {
    onError() {
      throw new Error('stop');
    },
  });
  const thrown = await messageOf(stopped.collect());
  const sum = await du(folder, { onError: ({ message }) => void told.push(message) });
  const list = await messageOf(readdir(join(folder, 'b')));
  const names = entries.map(({ path }) => path).sort();
  return { names, errors, rejected, thrown, sum: { ...sum, bytes: 0 }, told, list };
}

module.exports = { lookAtUnreadable };
