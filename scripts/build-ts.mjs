// Compiles lib/ to dist/, and bundles the modules that an import needs in one file. Files of dist/ whose source is gone are
// removed, so that no test and no packed tarball sees a module that lib/ no longer has. The others are overwritten in place,
// so that no file is missing at any moment.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundle } from './bundle.mjs';

const root = join(fileURLToPath(import.meta.url), '..', '..');
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');

const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.json'], { cwd: root, stdio: 'inherit' });
if (status !== 0) process.exit(status ?? 1);

const dist = join(root, 'dist');
for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile()) continue;
  const path = join(entry.parentPath ?? entry.path, entry.name);
  if (dirname(path) === dist && /^((bundle|command)\.js|(modules|command)-.*)$/.test(entry.name)) continue;
  const stem = path.slice(dist.length + 1).replace(/(\.d)?\.[cm]?[jt]s(\.map)?$/, '');
  if (!existsSync(join(root, 'lib', `${stem}.ts`))) rmSync(path);
}

const modules = bundle(dist, {
  stem: 'modules',
  file: 'bundle.js',
  // The tables are used late. As separate files they would need a descriptor and read permission at that time.
  roots: ['index.js', ...['constants-data', 'syscalls-arm64', 'syscalls-x64'].map((name) => `generated/${name}.js`)],
  run: "load('index.js');",
});
bundle(dist, {
  stem: 'command',
  file: 'command.js',
  roots: readdirSync(join(dist, 'cli')).flatMap((name) =>
    /(?<!compile-cache)\.js$/.test(name) ? [`cli/${name}`] : [],
  ),
  packages: ['commander'],
  elsewhere: modules,
  run: "process.argv.splice(1, Infinity, 'acall', 'du', __dirname);\n  load('cli/main.js');",
});

const cli = join(dist, 'cli', 'main.js');
if (existsSync(cli)) chmodSync(cli, 0o755);
