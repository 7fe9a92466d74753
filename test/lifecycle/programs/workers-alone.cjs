/* A program of workers.test.ts whose main thread never loads the addon: it may require nothing that does. */
const { join } = require('node:path');
const { Worker } = require('node:worker_threads');

/** In a Worker. */
function endWithCallInFlight() {
  const acall = require('acall');
  acall.syscall('openat', [acall.constants.AT_FDCWD, process.env.ACALL_TEST_FIFO ?? '', 0]).catch(() => {});
  void acall.stat('/').then(() => process.exit(4));
}

async function startFive() {
  const runner = join(__dirname, '../../support/program.cjs');
  const workerData = { file: __filename, name: endWithCallInFlight.name, args: [] };
  for (let i = 0; i < 5; i++) {
    const code = await new Promise((resolve, reject) => {
      new Worker(runner, { workerData }).on('error', reject).on('exit', resolve);
    });
    if (code !== 4) throw new Error(`a Worker ended with ${code}`);
  }
  process.exit(require.cache[require.resolve('acall')] === undefined ? 3 : 99);
}

module.exports = { endWithCallInFlight, startFive };
