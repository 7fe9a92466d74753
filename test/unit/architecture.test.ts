import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(__dirname, '../..');

function filesUnder(folder: string, ending: RegExp): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((name) => ending.test(name))
    .sort();
}

const read = (path: string) => readFileSync(join(root, path), 'utf8');

/** The rooms of lib/ from top to bottom; those of one line may import each other, but never in a circle. */
const floors = [
  ['cli'],
  ['index'],
  ['fs', 'syslet', 'aio', 'asys'],
  ['engine'],
  ['raw'],
  ['memory'],
  ['native', 'errors', 'abort', 'timers'],
  ['generated'],
];

const roomOf = (path: string) => relative('lib', path).split('/')[0]!.replace(/\.ts$/, '');
const floorOf = (room: string) => floors.findIndex((rooms) => rooms.includes(room));

/** Every relative import, export-from, require and dynamic import of one file, as paths from the root. */
function importsOf(path: string, known: Set<string>): string[] {
  const specifiers = read(path).matchAll(/(?:from|import|require\()\s*\(?\s*['"](\.[^'"]*)['"]/g);
  return [...specifiers].flatMap(([, specifier]) => {
    const target = join(dirname(path), specifier!).replace(/\.js$/, '');
    const found = [`${target}.ts`, join(target, 'index.ts')].find((candidate) => known.has(candidate));
    return found === undefined ? [] : [found];
  });
}

describe('lib/', () => {
  const files = filesUnder('lib', /\.ts$/);
  const known = new Set(files);
  const graph = new Map(files.map((path) => [path, importsOf(path, known)]));

  it('has no room that is not on the plan', () => {
    expect(files.filter((path) => floorOf(roomOf(path)) < 0)).toEqual([]);
  });

  it('imports point down', () => {
    const upward = [...graph].flatMap(([from, targets]) =>
      targets
        .filter((to) => floorOf(roomOf(to)) < floorOf(roomOf(from)))
        .map((to) => `${from} imports ${to}, which stands above it`),
    );
    expect(upward).toEqual([]);
  });

  it('has no circle of imports', () => {
    const done = new Set<string>();
    const circles: string[] = [];
    const visit = (path: string, trail: string[]) => {
      if (trail.includes(path)) circles.push([...trail.slice(trail.indexOf(path)), path].join(' -> '));
      if (done.has(path) || trail.includes(path)) return;
      for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
      done.add(path);
    };
    for (const path of files) visit(path, []);
    expect(circles).toEqual([]);
  });

  it('takes timers, the clock and the process from timers.ts and native.ts only: the global ones may be faked', () => {
    const globals =
      /(?<![\w.#])(set(Timeout|Interval|Immediate)|clear(Timeout|Interval|Immediate)|queueMicrotask|performance|process|globalThis)\b(?!['":])/g;
    const bare = files
      .filter((path) => !['cli', 'generated', 'timers', 'native'].includes(roomOf(path)))
      .flatMap((path) => {
        const code = read(path).replace(/\/\*[\s\S]*?\*\/|\/\/.*|'[^'\n]*'|`[^`]*`/g, '');
        const imported = new Set(
          code
            .match(/import \{[^}]*\} from ;/g)
            ?.join(' ')
            .match(/\w+/g),
        );
        const modules = read(path).match(/from '(node:)?(timers|perf_hooks|process)(\/promises)?'/g) ?? [];
        const used = (code.match(globals) ?? []).filter((name) => !imported.has(name));
        return [...used, ...modules].map((name) => `${path}: ${name}`);
      });
    expect(bare).toEqual([]);
  });

  it('knows what another realm may give by what it is, never by its class', () => {
    const classes =
      /instanceof (\w*Array|\w*ArrayBuffer|Buffer|DataView|URL|AbortSignal|Date|Map|Set|Promise|Object)\b/g;
    const found = files.flatMap((path) => (read(path).match(classes) ?? []).map((text) => `${path}: ${text}`));
    expect(found).toEqual([]);
  });

  it('prints in cli/ only', () => {
    const printing = files
      .filter((path) => roomOf(path) !== 'cli')
      .filter((path) =>
        /\bconsole\.|process\.(stdout|stderr)\b/.test(read(path).replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '')),
      );
    expect(printing).toEqual([]);
  });
});

describe('native/', () => {
  const sources = /\.(cc|h|S|inc)$/;
  const includesOf = (path: string) =>
    [...read(path).matchAll(/^\s*#\s*include\s*[<"]([^>"]+)[>"]/gm)].map((m) => m[1]!);
  const isOfNode = (header: string) => /^(napi|node|node_api|js_native_api|v8|uv)\b[\w./-]*\.h$/.test(header);

  it('knows Node in binding/ only, and there Node-API only', () => {
    const strays = filesUnder('native', sources).flatMap((path) =>
      includesOf(path)
        .filter((header) => isOfNode(header))
        .filter((header) => !(path.startsWith('native/binding/') && /^(napi|node_api|js_native_api)/.test(header)))
        .map((header) => `${path} includes ${header}`),
    );
    expect(strays).toEqual([]);
  });

  it('shows the binding the facade (engine.h, backends.h) and abi.h of the core, and nothing else', () => {
    const core = new Set(filesUnder('native/core', sources).map((path) => relative('native/core', path)));
    const strays = filesUnder('native/binding', sources).flatMap((path) =>
      includesOf(path)
        .map((header) => header.replace(/^(\.\.\/)?core\//, ''))
        .filter((header) => core.has(header) && !['engine.h', 'backends.h', 'abi.h'].includes(header))
        .map((header) => `${path} includes ${header}`),
    );
    expect(strays).toEqual([]);
  });

  it.each([
    ['native/core/sources.txt', ['native/core', 'native/arch']],
    ['native/binding/sources.txt', ['native/binding']],
  ])('%s lists every source that is there', (list, folders) => {
    const listed = read(list)
      .split('\n')
      .map((line) => line.replace(/#.*/, '').trim())
      .filter((line) => line !== '')
      .flatMap((line) =>
        line.includes('{arch}') ? ['x86_64', 'aarch64'].map((a) => line.replace('{arch}', a)) : [line],
      );
    const present = folders.flatMap((folder) => filesUnder(folder, /\.(cc|S)$/));
    expect(listed.sort()).toEqual(present.sort());
  });
});

describe('package-lock.json', () => {
  it('knows every package that another may need on any platform: npm ci refuses a lock file with a gap', () => {
    type Needs = { dependencies?: Record<string, string>; optionalDependencies?: Record<string, string> };
    const packages: Record<string, Needs> = JSON.parse(read('package-lock.json')).packages;
    const names = new Set(Object.keys(packages).map((path) => path.replace(/^.*node_modules\//, '')));
    const gaps = Object.entries(packages).flatMap(([path, { dependencies, optionalDependencies }]) =>
      Object.keys({ ...dependencies, ...optionalDependencies })
        .filter((name) => !names.has(name))
        .map((name) => `${path} needs ${name}`),
    );
    expect(names.size).toBeGreaterThan(100);
    expect(gaps).toEqual([]);
  });
});
