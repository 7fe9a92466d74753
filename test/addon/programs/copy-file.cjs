/* Programs of copy-file.test.ts, in a folder that the test has made. */
const { copyFile, restrict, rmTree, writeFile } = require('acall');

/** What changes files when some of the calls that it needs are refused. */
async function changeRestricted() {
  restrict(['getppid', 'openat', 'statx', 'ftruncate', 'getdents64', 'close', 'read']);
  const changes = [
    () => copyFile('source', 'there'),
    () => copyFile('source', 'new'),
    () => writeFile('there', 'x'),
    () => writeFile('there', ['x', 'y']),
    () => writeFile('there', 'x', { atomic: true }),
    () => rmTree('tree'),
  ];
  /** @type {unknown[]} */
  const codes = [];
  for (const change of changes) {
    await change().then(
      () => codes.push('ok'),
      ({ code, refused }) => codes.push({ code, refused }),
    );
  }
  return codes;
}

/** Copies all files at the same time, and returns how many could not be copied. @param {number} count */
async function copyMany(count) {
  const all = Array.from({ length: count }, (_, i) => copyFile(`f${i}`, `g${i}`));
  return (await Promise.allSettled(all)).filter(({ status }) => status !== 'fulfilled').length;
}

module.exports = { changeRestricted, copyMany };
