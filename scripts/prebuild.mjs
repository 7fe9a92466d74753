// Fills prebuilds/ before the package is packed: the addon of this machine, stripped, and the addon of the other architecture
// where its cross compiler is installed. Users of the package compile nothing.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { buildAside, isInstalled, root } from './side-build.mjs';

const triples = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' };

function place(arch, addon, strip) {
  const folder = join(root, 'prebuilds', `linux-${arch}`);
  mkdirSync(folder, { recursive: true });
  const target = join(folder, 'acall.node');
  copyFileSync(addon, target);
  execFileSync(strip, ['--strip-unneeded', target]);
  console.log(`prebuild: prebuilds/linux-${arch}/acall.node`);
}

rmSync(join(root, 'prebuilds'), { recursive: true, force: true });
execFileSync('npm', ['run', '--silent', 'build'], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
place(process.arch, join(root, 'build', 'Release', 'acall.node'), 'strip');

for (const [arch, triple] of Object.entries(triples)) {
  if (arch === process.arch) continue;
  if (!isInstalled(`${triple}-g++`)) {
    console.log(
      `prebuild: linux-${arch} SKIPPED, no ${triple}-g++ here (apt-get install g++-${triple.replace('_', '-')})`,
    );
    continue;
  }
  const env = { CC: `${triple}-gcc`, CXX: `${triple}-g++`, AR: `${triple}-ar`, LINK: `${triple}-g++` };
  const folder = buildAside(`addon-${arch}`, { env, args: [`--arch=${arch}`] });
  if (folder === null) {
    console.error(`prebuild: linux-${arch} failed to build`);
    process.exit(1);
  }
  place(arch, join(folder, 'build', 'Release', 'acall.node'), `${triple}-strip`);
}
