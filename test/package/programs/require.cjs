/* A program that depends on the package and requires it. */
const { statSync } = require('node:fs');
const acall = require('acall');

(async () => {
  const stats = await acall.stat(process.execPath);
  const plain = statSync(process.execPath);
  if (stats.size !== plain.size || stats.ino !== plain.ino) throw new Error('stat differs');
  if ((await acall.syscall('getpid')) !== process.pid) throw new Error('getpid differs');
  console.log(JSON.stringify(Object.keys(acall)));
})();
