/* A program of write-file.test.ts, started by root. */
const fs = require('node:fs');
const { join } = require('node:path');

/**
 * As another user: reads whatever is in a folder, until the file `end` is there.
 * @param {string} folder
 * @param {number} user
 */
function spy(folder, user) {
  process.setgid?.(user);
  process.setgroups?.([]);
  process.setuid?.(user);
  let looks = 0;
  let got = 0;
  console.log('ready');
  for (let ended = false; !ended; looks++) {
    for (const name of fs.readdirSync(folder)) {
      ended ||= name === 'end';
      if (name === 'end') continue;
      try {
        fs.closeSync(fs.openSync(join(folder, name), 'r'));
        got++;
      } catch {
        // The file has gone, or may not be read, as it should be.
      }
    }
  }
  console.log(JSON.stringify({ looks, got }));
}

module.exports = { spy };
