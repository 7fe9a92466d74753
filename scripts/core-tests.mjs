// Builds the core and its tests by CMake (through cmake-js, which finds Node-API's headers) and runs them by ctest.
// Usage: node scripts/core-tests.mjs [--sanitize address,undefined|thread] [--compiler gcc|clang|aarch64] [--watchdog]
//   [--only REGEX] [--configure]
// --only REGEX builds and runs only the tests whose names match. --watchdog builds with the watchdog of inline calls
// (native/core/base/watchdog.h). --configure stops after the configuration, which writes compile_commands.json. Each setting has a build
// folder in build-core/.
// The last line is "N passed, N failed, N skipped" and counts the tests inside the programs; skipped tests are named before it. A
// program that ends without its count has failed.
import { spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isInstalled, root } from './side-build.mjs';

const { values: options } = parseArgs({
  options: {
    sanitize: { type: 'string', default: '' },
    compiler: { type: 'string', default: 'gcc' },
    watchdog: { type: 'boolean', default: false },
    only: { type: 'string' },
    configure: { type: 'boolean', default: false },
  },
});

const compilers = {
  gcc: ['gcc', 'g++'],
  clang: ['clang', 'clang++'],
  aarch64: ['aarch64-linux-gnu-gcc', 'aarch64-linux-gnu-g++'],
};
const settings = {
  aarch64: {
    CMAKE_SYSTEM_NAME: 'Linux',
    CMAKE_SYSTEM_PROCESSOR: 'aarch64',
    CMAKE_CROSSCOMPILING_EMULATOR: 'qemu-aarch64-static;-L;/usr/aarch64-linux-gnu',
  },
};
// Tests that do not run under qemu-user, which stands between the program and the kernel.
const notEmulated = {
  inline_test: 'RESOLVE_CACHED is not passed on',
  inline_stat_test: 'RESOLVE_CACHED is not passed on',
  inline_transfer_test: 'RESOLVE_CACHED is not passed on',
  cancel_test: '/proc shows the system call numbers of this machine, not those of the program; cancel_race_test runs',
  copies_test: 'openat2 is unknown to it',
  mount_table_test: 'paths are looked up below its sysroot first',
  pool_test: 'it keeps signals for itself',
  tree_walk_test: 'paths are looked up below its sysroot first',
};
const [cc, cxx] =
  compilers[options.compiler] ??
  fail(`unknown compiler ${options.compiler}: gcc, clang or aarch64 (a cross build, run under qemu)`);

function fail(message) {
  console.error(`core tests: ${message}`);
  process.exit(2);
}

function run(command, args, extra = {}) {
  return spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], ...extra });
}

if (!isInstalled('cmake')) {
  // CMake is no requirement: the tests of the addon also run the core.
  console.log('SKIPPED core tests: no cmake here (apt-get install cmake)');
  if (process.env.ACALL_COUNTS) appendFileSync(process.env.ACALL_COUNTS, '0 0 1 core\n');
  process.exit(0);
}
if (!isInstalled(cxx)) fail(`no ${cxx} here`);

const kinds = [...options.sanitize.split(',').filter(Boolean), ...(options.watchdog ? ['watchdog'] : [])];
const name = [options.compiler, ...kinds].join('-');
const build = join(root, 'build-core', name);
mkdirSync(build, { recursive: true });

const cmakeJs = createRequire(import.meta.url).resolve('cmake-js/bin/cmake-js');
const definitions = {
  CMAKE_C_COMPILER: cc,
  CMAKE_CXX_COMPILER: cxx,
  ACALL_SANITIZE: options.sanitize,
  ACALL_WATCHDOG: options.watchdog ? 'ON' : 'OFF',
  ACALL_WERROR: process.env.ACALL_WERROR === '1' ? 'ON' : 'OFF',
  ...settings[options.compiler],
};
const configured = run(
  process.execPath,
  [
    cmakeJs,
    'configure',
    '--log-level=error',
    '--prefer-make',
    '--config=RelWithDebInfo',
    `--out=${build}`,
    ...Object.entries(definitions).map(([key, value]) => `--CD${key}=${value}`),
  ],
  { stdio: ['ignore', 'pipe', 'inherit'] },
);
if (configured.status !== 0) {
  process.stderr.write(configured.stdout);
  fail('cmake could not configure the core');
}
if (options.configure) process.exit(0);

/** The arguments of CMake that name the targets of the selected tests; none means all targets. */
function targets() {
  if (!options.only) return [];
  const listing = ['--test-dir', build, '--show-only=json-v1', '-R', options.only];
  const { tests = [] } = JSON.parse(spawnSync('ctest', listing, { encoding: 'utf8' }).stdout || '{}');
  if (tests.length === 0) return [];
  const probe = options.sanitize.includes('thread') ? ['must_fail_thread'] : []; // see wrapper()
  return ['--target', ...tests.map((test) => test.name), ...probe];
}

const jobs = String(availableParallelism());
const howBuilt = ['--build', build, '--parallel', jobs, ...targets(), '--', '--no-print-directory', '-s'];
if (run('cmake', howBuilt).status !== 0) {
  fail('the core could not be built');
}

/**
 * TSan of gcc 12 and clang 14 cannot map its shadow where the kernel randomises 32 bits of mmap
 * ("unexpected memory mapping"); without randomisation it can.
 */
function wrapper() {
  if (!options.sanitize.includes('thread')) return [];
  const probe = spawnSync(join(build, 'must_fail_thread'), { encoding: 'utf8' });
  return probe.stderr.includes('unexpected memory mapping') ? ['setarch', '-R'] : [];
}

const report = join(build, 'report.xml');
rmSync(report, { force: true });
const command = [...wrapper(), 'ctest', '--test-dir', build, '--output-on-failure', '--output-junit', report];
command.push('--test-output-size-passed', '65536', '--test-output-size-failed', '262144');
command.push('--no-tests=error', '--parallel', jobs, ...(options.only ? ['-R', options.only] : []));
if (options.compiler === 'aarch64') {
  for (const [test, why] of Object.entries(notEmulated)) console.log(`SKIPPED ${test} under qemu: ${why}`);
  command.push('-E', `^(${Object.keys(notEmulated).join('|')})$`);
}
const tested = run(command[0], command.slice(1), {
  env: {
    ...process.env,
    ASAN_OPTIONS: 'detect_stack_use_after_return=1:strict_string_checks=1',
    UBSAN_OPTIONS: 'print_stacktrace=1',
    TSAN_OPTIONS: 'second_deadlock_stack=1:halt_on_error=0',
  },
});
if (!existsSync(report)) fail('ctest wrote no report');

const unescaped = (text) =>
  text.replace(/&(lt|gt|quot|apos|amp);/g, (_, name) => ({ lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' })[name]);
const total = { passed: 0, failed: 0, skipped: options.compiler === 'aarch64' ? Object.keys(notEmulated).length : 0 };
for (const [, attributes, body] of readFileSync(report, 'utf8').matchAll(/<testcase ([^>]*)>([\s\S]*?)<\/testcase>/g)) {
  const program = attributes.match(/name="([^"]*)"/)[1];
  const endedWell = /status="run"/.test(attributes);
  // A program that must fail prints no count: ctest has looked for its report.
  const counts = program.startsWith('must_fail_')
    ? [Number(endedWell), 0, 0]
    : (body
        .match(/(\d+) passed, (\d+) failed, (\d+) skipped\s*(?:<|$)/)
        ?.slice(1)
        .map(Number) ?? [0, 1, 0]);
  total.passed += counts[0];
  total.failed += endedWell ? counts[1] : Math.max(counts[1], 1);
  total.skipped += counts[2];
  for (const [, test, why] of unescaped(body).matchAll(/^(.*) \.\.\. SKIPPED: (.*)$/gm))
    console.log(`SKIPPED ${program}: ${test}: ${why}`);
}
console.log(`core tests (${name}): ${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
if (process.env.ACALL_COUNTS)
  appendFileSync(process.env.ACALL_COUNTS, `${total.passed} ${total.failed} ${total.skipped} core ${name}\n`);
process.exit(tested.status === 0 && total.failed === 0 ? 0 : 1);
