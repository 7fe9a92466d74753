/* Preloaded by cli.test.ts: the first look below /usr is refused. */
const fs = require('node:fs');

for (const name of /** @type {const} */ (['readdirSync', 'lstatSync'])) {
  /** @type {(path: fs.PathLike, ...rest: any[]) => unknown} */
  const real = fs[name];
  let calls = 0;
  Object.assign(fs, {
    [name]: (/** @type {fs.PathLike} */ path, /** @type {unknown[]} */ ...rest) => {
      if (String(path).startsWith('/usr/') && calls++ === 0) {
        throw Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' });
      }
      return real(path, ...rest);
    },
  });
}
