// Runs the tests of the addon inside Node with ASan and UBSan: the addon is built with -fsanitize=address,undefined in a copy
// of the package, and the sanitizer's run-time library is preloaded, as Node itself is built without it.
// Before that, an addon that reads freed memory must be reported. Arguments are passed to vitest in place of the projects.
import { execFileSync, spawnSync } from 'node:child_process';
import { buildToTest, compileFaulty, runVitest } from './side-build.mjs';

const flags = '-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer';
// The addon is linked with the libraries that binding.gyp names and no other.
const linked = `${flags} -Wl,--no-as-needed -lasan -lubsan`;
const folder = buildToTest('asan-node', { CC: 'gcc', CXX: 'g++', CFLAGS: flags, CXXFLAGS: flags, LDFLAGS: linked });

const runtime = execFileSync('gcc', ['-print-file-name=libasan.so'], { encoding: 'utf8' }).trim();
const environment = {
  ...process.env,
  LD_PRELOAD: runtime,
  // Node frees little of its memory before it exits, so only the core's own tests look for leaks.
  ASAN_OPTIONS:
    'detect_leaks=0:allocator_may_return_null=1:detect_stack_use_after_return=1:abort_on_error=0:exitcode=99',
  UBSAN_OPTIONS: 'print_stacktrace=1',
};

const faulty = compileFaulty(folder, 'addon.c', ['-fsanitize=address']);
const proof = spawnSync(process.execPath, ['-e', `require(${JSON.stringify(faulty)})`], {
  env: environment,
  encoding: 'utf8',
});
if (proof.status !== 99 || !proof.stderr.includes('AddressSanitizer: heap-use-after-free')) {
  console.error(`asan in node: the addon that must fail was not reported (exit ${proof.status})\n${proof.stderr}`);
  process.exit(1);
}
console.log('asan in node: the addon that must fail was reported');

const selected = process.argv.length > 2 ? process.argv.slice(2) : ['--project', 'addon', '--project', 'lifecycle'];
process.exit(runVitest(folder, selected, environment));
