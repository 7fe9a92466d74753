// clang-format over native/ and test/core, then clang-tidy over every file CMake compiles there; `--fix` formats instead.
// A tool that is not installed is skipped with one line.
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { isInstalled, root } from './side-build.mjs';

const fix = process.argv.includes('--fix');

const files = ['native', 'test/core'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true })
    .map((name) => join(folder, name))
    .filter((name) => /\.(cc|c|h)$/.test(name) && !name.includes('/generated/')),
);

if (isInstalled('clang-format')) {
  const mode = fix ? ['-i'] : ['--dry-run', '-Werror'];
  const { status } = spawnSync('clang-format', [...mode, ...files], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (status !== 0) process.exit(1);
  console.log(`clang-format: ${files.length} files`);
} else {
  console.log('clang-format: SKIPPED, not installed (apt-get install clang-format)');
}
if (fix) process.exit(0);

if (!isInstalled('clang-tidy') || !isInstalled('cmake')) {
  console.log('clang-tidy: SKIPPED, it needs clang-tidy and cmake (apt-get install clang-tidy cmake)');
  process.exit(0);
}
const configured = spawnSync(process.execPath, [join(root, 'scripts', 'core-tests.mjs'), '--configure'], {
  stdio: ['ignore', 'inherit', 'inherit'],
});
if (configured.status !== 0) process.exit(1);

const build = join(root, 'build-core', 'gcc');
const queue = JSON.parse(readFileSync(join(build, 'compile_commands.json'), 'utf8'))
  .map(({ file }) => relative(root, file))
  .filter((file) => /\.cc$/.test(file) && !file.includes('must_fail'));
const count = queue.length;

/** Runs one clang-tidy for each CPU core; each takes the next file, so that a long file does not delay the others. */
async function work() {
  let failed = false;
  for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
    const child = spawn('clang-tidy', ['--quiet', '-p', build, file], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
    });
    const status = await new Promise((resolve) => child.on('close', resolve));
    if (status !== 0) {
      failed = true;
      process.stdout.write(`clang-tidy ${file}:\n${output}`);
    }
  }
  return failed;
}

const failures = await Promise.all(Array.from({ length: availableParallelism() }, work));
console.log(`clang-tidy: ${count} files`);
process.exit(failures.includes(true) ? 1 : 0);
