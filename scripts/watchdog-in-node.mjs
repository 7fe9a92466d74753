// Runs the tests of code that runs on the event loop with an addon that has the watchdog (-DACALL_WATCHDOG, see
// native/core/base/watchdog.h): the process is aborted when an inline call sleeps, or the thread of the loop is in state D.
// Before that, an inline call that sleeps, and a loop whose thread is in state D, must be reported. Arguments are passed to vitest in
// place of the files.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { buildToTest, compileFaulty, runVitest } from './side-build.mjs';

const folder = buildToTest('watchdog-node', { CXXFLAGS: '-DACALL_WATCHDOG' });

const faulty = compileFaulty(folder, 'slow_addon.c');
const faults = {
  call: 'does not come back from inline call',
  loop: 'of an event loop is in state D, in code of others',
};
for (const [fault, report] of Object.entries(faults)) {
  const proof = spawnSync(process.execPath, [join(folder, 'test/core/must_fail/slow_addon.cjs'), faulty], {
    cwd: folder,
    env: { ...process.env, ACALL_MUST_FAIL: fault },
    encoding: 'utf8',
    timeout: 30_000,
  });
  if (proof.signal !== 'SIGABRT' || !proof.stderr.includes(report)) {
    console.error(
      `watchdog in node: the fault "${fault}" was not reported (${proof.status ?? proof.signal})\n${proof.stderr}`,
    );
    process.exit(1);
  }
}
console.log('watchdog in node: what must be reported was');

const subjects = ['inline', 'stat', 'syscall', 'abort'].map((name) => `test/addon/${name}.test.ts`);
subjects.push('test/lifecycle/inline-stalled.test.ts', 'test/lifecycle/abort');
process.exit(runVitest(folder, process.argv.length > 2 ? process.argv.slice(2) : subjects, process.env));
