/*
 * Runs one function of a file of programs: in a process of its own as `node program.cjs FILE NAME ARGUMENTS`, ARGUMENTS in JSON,
 * or in a Worker whose workerData is { file, name, args }. What the function of a process returns is printed as JSON; then the
 * process ends by itself.
 */
const fs = require('node:fs');
const { isMainThread, workerData } = require('node:worker_threads');

const [file, name, args] = isMainThread
  ? [process.argv[2], process.argv[3], JSON.parse(process.argv[4] ?? '[]')]
  : [workerData.file, workerData.name, workerData.args];

(async () => {
  const answer = await require(file)[name](...args);
  if (isMainThread && answer !== undefined) fs.writeSync(1, JSON.stringify(answer));
})();
