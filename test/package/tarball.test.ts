// What npm would publish: packed here, installed into an empty folder, and used from there as a stranger would.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = resolve(__dirname, '../..');
const programs = join(__dirname, 'programs');
const bin = (name: string) => join(root, 'node_modules', '.bin', name);
const place = mkdtempSync(join(tmpdir(), 'acall-package-'));
const consumer = join(place, 'consumer');
const installed = join(consumer, 'node_modules', 'acall');
let tarball = '';
let files: string[] = [];

function run(command: string, args: string[], cwd = consumer) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8', env: cleanEnvironment() });
  return { status, stdout, stderr, said: `${command} ${args.join(' ')}\n${stdout}${stderr}` };
}

/** What an addon must not need of the system it runs on, of the text that `readelf -W -d -V --dyn-syms` prints of it. */
function beyondBaseline(printed: string): string[] {
  const all = (pattern: RegExp) => [...new Set([...printed.matchAll(pattern)].map(([, name]) => name!))];
  const libraries = all(/\(NEEDED\).*\[(.*)\]/g).filter((name) => !/^(libc\.so\.6|ld-linux-.*)$/.test(name));
  const versions = all(/\bName: (\S+)/g).filter((version) => {
    const [, major, minor] = version.match(/^GLIBC_(\d+)\.(\d+)(\.\d+)?$/) ?? [];
    return major !== '2' || Number(minor) > 28;
  });
  const symbols = all(/\bGLOBAL +\w+ +UND +(\S+)/g).filter((name) => !/^napi_|@GLIBC_/.test(name));
  return [...libraries, ...versions, ...symbols];
}

/** Without the npm_* variables that this run of npm has set, which speak of the checkout. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const kept = /^npm_(config_(cafile|registry|cache|nodedir|.*proxy)$)/;
  return Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith('npm_') || kept.test(key)));
}

beforeAll(() => {
  const packed = execFileSync('npm', ['pack', '--json', '--silent', '--pack-destination', place], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [report] = JSON.parse(packed.slice(packed.search(/^\[\s*\{/m)));
  tarball = join(place, report.filename);
  files = report.files.map((file: { path: string }) => file.path).sort();

  mkdirSync(consumer);
  writeFileSync(join(consumer, 'package.json'), '{ "name": "consumer", "private": true }\n');
  const { status, said } = run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', tarball]);
  expect(status, said).toBe(0);
});

afterAll(() => rmSync(place, { recursive: true, force: true }));

describe('the tarball', () => {
  it('holds compiled code, declarations, addons and four documents, and nothing else', () => {
    const known =
      /^(dist\/.*\.(js|d\.ts)|prebuilds\/linux-(x64|arm64)\/acall\.node|README\.md|LICENSE|CHANGELOG\.md|package\.json)$/;
    expect(files.filter((path) => !known.test(path))).toEqual([]);
    expect(files).toEqual(expect.arrayContaining(['LICENSE', 'README.md', 'dist/index.d.ts', 'dist/index.js']));
    expect(files).toContain(`prebuilds/linux-${process.arch}/acall.node`);
  });

  it('runs nothing when it is installed', () => {
    const { scripts, gypfile } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
    for (const name of ['preinstall', 'install', 'postinstall']) expect(scripts).not.toHaveProperty(name);
    // npm runs node-gyp of its own accord where it finds a binding.gyp and gypfile is not false.
    expect(gypfile).toBe(false);
    expect(existsSync(join(installed, 'binding.gyp'))).toBe(false);
    expect(existsSync(join(installed, 'build'))).toBe(false);
    const lock = JSON.parse(readFileSync(join(consumer, 'node_modules', '.package-lock.json'), 'utf8'));
    expect(lock.packages['node_modules/acall']).not.toHaveProperty('hasInstallScript');
  });

  it('satisfies publint', () => {
    const { status, said } = run(bin('publint'), ['run', '--strict', tarball], root);
    expect(status, said).toBe(0);
  });

  it('satisfies are-the-types-wrong for every entry point', () => {
    const { status, said } = run(bin('attw'), [tarball], root);
    expect(status, said).toBe(0);
  });
});

describe('the addon in it', () => {
  const header = (arch: string) =>
    readFileSync(join(installed, 'prebuilds', `linux-${arch}`, 'acall.node')).subarray(0, 20);

  it.each(['x64', 'arm64'].filter((arch) => existsSync(join(root, 'prebuilds', `linux-${arch}`))))(
    'is built for %s where its folder says so',
    (arch) => {
      expect(header(arch).readUInt16LE(18)).toBe({ x64: 62, arm64: 183 }[arch]);
    },
  );

  it('needs glibc 2.28 and no other library, on every architecture the package has it for', () => {
    const shipped = files.filter((path) => path.endsWith('.node'));
    for (const path of shipped) {
      const printed = execFileSync('readelf', ['-W', '-d', '-V', '--dyn-syms', join(installed, path)], {
        encoding: 'utf8',
      });
      expect(printed, path).toMatch(/UND +malloc@GLIBC_2/); // the text is understood
      expect(beyondBaseline(printed), path).toEqual([]);
    }
    expect(shipped).not.toEqual([]);
  });

  it('would be seen to need a newer glibc, the C++ library, or a symbol that nothing has', () => {
    const printed = `
 0x0000000000000001 (NEEDED)             Shared library: [libstdc++.so.6]
 0x0000000000000001 (NEEDED)             Shared library: [libc.so.6]
  0x0010:   Name: GLIBC_2.34  Flags: none  Version: 4
  0x0020:   Name: GLIBC_2.28  Flags: none  Version: 3
  0x0030:   Name: GLIBC_2.2.5  Flags: none  Version: 2
  0x0040:   Name: GLIBC_ABI_DT_RELR  Flags: none  Version: 5
  0x0050:   Name: GLIBCXX_3.4  Flags: none  Version: 6
     1: 0000000000000000     0 FUNC    GLOBAL DEFAULT  UND malloc@GLIBC_2.2.5 (2)
     2: 0000000000000000     0 NOTYPE  GLOBAL DEFAULT  UND napi_wrap
     3: 0000000000000000     0 NOTYPE  GLOBAL DEFAULT  UND _ZSt20__throw_length_errorPKc
     4: 0000000000000000     0 NOTYPE  WEAK   DEFAULT  UND __gmon_start__`;
    expect(beyondBaseline(printed)).toEqual([
      'libstdc++.so.6',
      'GLIBC_2.34',
      'GLIBC_ABI_DT_RELR',
      'GLIBCXX_3.4',
      '_ZSt20__throw_length_errorPKc',
    ]);
  });

  it('shows Node its two entry points only, and stays mapped', () => {
    const addon = join(installed, 'prebuilds', `linux-${process.arch}`, 'acall.node');
    const defined = execFileSync('nm', ['-D', '--defined-only', '--format=posix', addon], { encoding: 'utf8' });
    const symbols = defined.split('\n').map((line) => line.split(' ')[0]);
    expect(symbols.filter(Boolean).sort()).toEqual(['napi_register_module_v1', 'node_api_module_get_api_version_v1']);
    const dynamic = execFileSync('readelf', ['-dW', addon], { encoding: 'utf8' });
    expect(dynamic).toMatch(/NODELETE/);
  });
});

describe('a program that depends on it', () => {
  /** Runs a copy of one of our programs beside the installed package; the names that the program has found in it. */
  function namesIn(program: string): string[] {
    cpSync(join(programs, program), join(consumer, program));
    const { status, stdout, said } = run(process.execPath, [program]);
    expect(status, said).toBe(0);
    return JSON.parse(stdout).filter((name: string) => name !== 'default' && name !== 'module.exports');
  }

  it('can require it, import it, and finds the same names', () => {
    const required = namesIn('require.cjs').sort();
    expect(namesIn('import.mjs').sort()).toEqual(required);
    expect(required).toContain('acall_submit');
  });

  it.each([
    ['CommonJS', 'main.cts', 'node16', 'node16'],
    ['ES modules', 'main.mts', 'node16', 'node16'],
    ['a bundler', 'main.ts', 'esnext', 'bundler'],
  ])('compiles against its types as %s', (_, file, module, moduleResolution) => {
    cpSync(join(programs, 'compile.ts'), join(consumer, file));
    const compilerOptions = {
      strict: true,
      noEmit: true,
      target: 'es2022',
      lib: ['es2023', 'esnext.disposable'],
      module,
      moduleResolution,
      typeRoots: [join(root, 'node_modules/@types')],
      types: ['node'],
    };
    writeFileSync(join(consumer, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: [file] }));
    const { status, said } = run(bin('tsc'), ['-p', '.']);
    expect(status, said).toBe(0);
  });

  it('has the command', () => {
    const command = join(consumer, 'node_modules', '.bin', 'acall');
    const help = run(command, ['--help']);
    expect(help.status, help.said).toBe(0);
    expect(help.stdout).toMatch(/^Usage: acall/m);
    const stat = run(command, ['stat', '--json', 'package.json']);
    expect(stat.status, stat.said).toBe(0);
    expect(JSON.parse(stat.stdout).size).toBe(readFileSync(join(consumer, 'package.json')).length);
    expect(run(command, ['no-such-command']).status).toBe(2);
  });
});
