/* A program of read-files.test.ts, in a folder with files many/f0, many/f1 and so on. It runs with few descriptors. */
const { readFile, readFiles, walk } = require('acall');
const fs = require('node:fs');

/** Reads all files in every way that readFiles offers, and returns how many could not be read. @param {number} count */
async function readAll(count) {
  const paths = Array.from({ length: count }, (_, i) => `many/f${i}`);
  const failed = (/** @type {readonly unknown[]} */ all) => all.filter((one) => one instanceof Error).length;
  await readFiles(paths.slice(0, 1)).catch(() => {});
  try {
    fs.closeSync(fs.openSync(/** @type {string} */ (paths[0]), 'r'));
  } catch {
    return 'none left';
  }
  const once = failed(await readFiles(paths));
  const twice = await Promise.all([readFiles(paths), readFiles(paths)]);
  const single = await Promise.all(paths.map((path) => readFile(path).catch((error) => error)));
  const walked = (await walk('many').collect()).length;
  return { failed: [once, ...twice.map(failed), failed(single)], walked };
}

module.exports = { readAll };
