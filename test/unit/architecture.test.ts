import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const root = resolve(__dirname, '../..');

function filesUnder(folder: string, ending: RegExp): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((name) => ending.test(name))
    .sort();
}

const read = (path: string) => readFileSync(join(root, path), 'utf8');

/**
 * The folders of lib/ from top to bottom, and the files of lib/ itself. Those in one line may import each other, but not in a
 * circle.
 */
const floors = [
  ['cli'],
  ['index'],
  ['fs/tree', 'fs/file', 'syslet', 'aio', 'structs', 'asys'],
  ['fs/stat', 'syslet/run'],
  ['fs', 'syslet/build'],
  ['call'],
  ['promise'],
  ['raw'],
  ['memory'],
  ['native', 'errors', 'abort', 'timers'],
  ['generated'],
];

const roomOf = (path: string) => {
  const name = relative('lib', path);
  return name.includes('/') ? dirname(name) : name.replace(/\.ts$/, '');
};
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

  it('has no folder that is not in the list', () => {
    expect(files.filter((path) => floorOf(roomOf(path)) < 0)).toEqual([]);
  });

  it('has no file beside a folder of the same name', () => {
    const folders = new Set(files.map((path) => dirname(path)));
    expect(files.filter((path) => folders.has(path.replace(/\.ts$/, '')))).toEqual([]);
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

  it('recognizes values of another realm by their members, never by their class', () => {
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

/**
 * The folders of native/ from bottom to top: a folder includes itself and what stands above it in this list. Beside a
 * folder: its files that still lie in native/core itself, by name, or without an ending for all files of that name.
 */
const nativeFolders: readonly (readonly [folder: string, files: string])[] = [
  ['base', ''],
  ['abi.h, wire.h', 'abi wire wire_values'],
  ['op', ''],
  ['completion', ''],
  ['threads', ''],
  ['launch', ''],
  ['syscalls', 'policy_table_arm64 policy_table_x64'],
  ['inline', ''],
  ['environment', ''],
  ['files', ''],
  ['submit', ''],
  ['programs', ''],
  ['jobs', ''],
  ['jobs/tree', ''],
  ['engine.h, backends.h', 'backends engine'],
];

/** The files of the core that the binding may include. */
const seenByBinding = ['abi.h', 'wire.h', 'generated/wire_values.inc', 'engine.h', 'backends.h'];

/** Files that stay in native/core itself. */
const staysInCore = ['abi', 'wire', 'backends', 'engine'];

const flatFiles = nativeFolders.flatMap(([, files], place) =>
  files
    .split(' ')
    .filter(Boolean)
    .map((name) => ({ name, place })),
);

/** Where a file stands in nativeFolders, the binding above all; -1 when it is in no folder of the list. */
function placeOf(path: string): number {
  if (path.startsWith('native/binding/')) return nativeFolders.length;
  const folder = dirname(relative('native/core', path));
  const own = nativeFolders.findIndex(([name]) => name === folder);
  if (own >= 0) return own;
  const [file, stem] = [basename(path), basename(path).replace(/\.\w+$/, '')];
  const inGenerated = folder === 'generated' && path.endsWith('.inc');
  if (folder !== '.' && !inGenerated) return -1;
  const row = flatFiles.find(({ name }) => name === file) ?? flatFiles.find(({ name }) => name === stem);
  return row?.place ?? -1;
}

/** Every include of one of our own files by another, as paths from the root. */
function ownIncludes(includes: ReadonlyMap<string, readonly string[]>): [from: string, to: string][] {
  return [...includes].flatMap(([from, headers]) =>
    headers.flatMap((header): [string, string][] => {
      const candidates = [dirname(from), 'native/core', 'native/binding', 'native'].map((base) => join(base, header));
      const to = candidates.find((path) => includes.has(path));
      return to === undefined ? [] : [[from, to]];
    }),
  );
}

/**
 * The includes that run back up the list, and those of the binding that pass by the facade, as "file -> header".
 */
function backIncludes(includes: ReadonlyMap<string, readonly string[]>): string[] {
  const isBinding = (path: string) => path.startsWith('native/binding/');
  const runsBack = ([from, to]: [string, string]) =>
    isBinding(from) && !isBinding(to)
      ? !seenByBinding.includes(relative('native/core', to))
      : placeOf(to) > placeOf(from);
  return ownIncludes(includes)
    .filter(runsBack)
    .map((pair) => pair.map((path) => (isBinding(path) ? relative('native', path) : basename(path))).join(' -> '))
    .sort();
}

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

  const files = ['native/core', 'native/binding'].flatMap((folder) => filesUnder(folder, sources));
  const includes = new Map(files.map((path) => [path, includesOf(path)]));

  it('has no file that is in no folder of the list, and no two files of one name in the core', () => {
    expect(files.filter((path) => placeOf(path) < 0)).toEqual([]);
    const names = files.filter((path) => path.startsWith('native/core/')).map((path) => basename(path));
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  });

  it('has each file that the list places in native/core itself', () => {
    const flat = files.filter((path) => /^native\/core\/(generated\/)?[^/]+$/.test(path)).map((path) => basename(path));
    const isThere = (name: string) => flat.some((file) => file === name || file.replace(/\.\w+$/, '') === name);
    expect(flatFiles.map(({ name }) => name).filter((name) => !staysInCore.includes(name) && !isThere(name))).toEqual(
      [],
    );
  });

  it('enters the kernel for ops, and decides what follows an -EINTR, in kernel_entry.h alone', () => {
    const rooms = ['files', 'submit', 'programs', 'jobs', 'jobs/tree'];
    const running = files.filter((path) => rooms.includes(nativeFolders[placeOf(path)]?.[0] ?? ''));
    const isEntered = (path: string) =>
      /\bEINTR\b|\binvoke(_always)?\(|(?<!\w)syscall\(/.test(read(path).replace(/\/\/.*/g, ''));
    expect(running.length).toBeGreaterThan(20);
    expect(running.filter(isEntered)).toEqual([]);
    expect(isEntered('native/core/syscalls/kernel_entry.h')).toBe(true);
  });

  it('includes only what stands above in the list', () => {
    expect(backIncludes(includes)).toEqual([]);
  });

  it('publishes ops in one place, and asks none of them of which kind it is', () => {
    const code = new Map(files.map((path) => [path, read(path).replace(/\/\/.*/g, '')]));
    const having = (pattern: RegExp) => [...code].filter(([, text]) => pattern.test(text)).map(([path]) => path);
    expect(having(/OperationTable::publish\(/).map((path) => basename(path))).toEqual(['launch.h']);
    expect(having(/\b(kind\(\)|back_end|\.run)\s*[=!]=(?!\s*nullptr)/)).toEqual([]);
    expect(having(/\bkind\(\)/).length).toBeGreaterThan(3);
  });

  it('would see an include that runs back, one past the facade, and a file without a folder', () => {
    const invented = new Map([
      ['native/core/base/sync.h', ['atomic']],
      ['native/core/op/operation.h', ['sync.h', 'ring.h']],
      ['native/core/completion/ring.h', ['op/operation.h', '../sync.h', 'engine.h']],
      ['native/core/jobs/tree/walk.h', ['jobs/feed.h', 'engine.h']],
      ['native/core/jobs/feed.h', ['tree/walk.h', '../completion/ring.h']],
      ['native/core/engine.h', ['completion/ring.h', 'jobs/feed.h']],
      ['native/binding/raw.cc', ['raw.h', 'engine.h', '../core/completion/ring.h']],
      ['native/binding/raw.h', []],
    ]);
    expect(backIncludes(invented)).toEqual([
      'binding/raw.cc -> ring.h',
      'feed.h -> walk.h',
      'ring.h -> engine.h',
      'walk.h -> engine.h',
    ]);
    expect(['core/new.cc', 'core/new/sync.h', 'core/op/new.cc'].map((path) => placeOf(`native/${path}`) >= 0)).toEqual([
      false,
      false,
      true,
    ]);
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

/** Strings of a file that are code of several lines: programs without types and lint. */
function programsInQuotes(path: string, text: string): string[] {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const lineOf = (at: number) => source.getLineAndCharacterOfPosition(at).line + 1;
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isTemplateExpression(node) || ts.isStringLiteralLike(node)) {
      const [first, last] = [lineOf(node.getStart(source)), lineOf(node.getEnd())];
      const isCode = /\b(require|await|import|const|let|return)\b.*[;(]|=>/.test(node.getText(source));
      if (last - first > 3 && isCode) found.push(`${path}:${first}`);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

describe('test/ and bench/', () => {
  const filesOf = (folder: string) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => relative(root, join(entry.parentPath, entry.name)));
  const files = [...filesOf('test'), ...filesOf('bench')];

  it('have a folder for each file: tests, what tests share, programs; cases, drivers, harness, limits', () => {
    const rooms = [
      /^test\/(unit|addon|lifecycle|stress|package)\/[\w-]+\.test\.ts$/,
      /^test\/(unit|addon|lifecycle|stress|package)\/support\/[\w-]+\.(ts|cjs|c)$/,
      /^test\/(unit|addon|lifecycle|stress|package)\/programs\/[\w-]+\.(cjs|mjs|ts)$/,
      /^test\/support\/[\w-]+\.(ts|cjs)$/,
      /^test\/core\/(\w+_test\.cc|support\/\w+\.(h|cc|txt)|must_fail\/\w+\.(cc|c|cjs|cmake)|\.clang-tidy)$/,
      /^test\/(unit\/back-includes|green-on-parent)\.txt$/, // lists that only get shorter
      /^bench\/(run\.mjs|cases\/[\w-]+\.mjs|harness\/[\w-]+\.mjs|drivers\/[\w-]+\.mjs|limits\/\w+\.[ch])$/,
    ];
    expect(files.filter((path) => !rooms.some((room) => room.test(path)))).toEqual([]);
    for (const room of rooms.slice(0, 5)) expect(files.some((path) => room.test(path))).toBe(true);
  });

  const scripts = files.filter((path) => /\.(ts|cjs|mjs)$/.test(path));

  it('keep programs in files, and none in quotes', () => {
    expect(scripts.flatMap((path) => programsInQuotes(path, read(path)))).toEqual([]);
    const evaluated = /\beval: (true|!0)/;
    expect(scripts.filter((path) => evaluated.test(read(path)) && !path.endsWith('architecture.test.ts'))).toEqual([]);
  });

  it('would see a program in quotes', () => {
    const quoted = 'run(`\n  const fd = 1;\n  await stat(fd);\n  close(fd);\n`);\n';
    expect(programsInQuotes('a.ts', quoted)).toEqual(['a.ts:1']);
    expect(programsInQuotes('a.ts', quoted.replaceAll('\n', ' '))).toEqual([]);
    expect(programsInQuotes('a.ts', 'expect(text).toBe(`\none\ntwo\nthree\nfour`);')).toEqual([]);
  });

  it('have no program that nobody runs', () => {
    const users = scripts.map((path) => [path, read(path)] as const);
    const programs = scripts.filter((path) => path.includes('/programs/'));
    expect(programs.length).toBeGreaterThan(20);
    const named = (program: string) =>
      users.some(([path, text]) => path !== program && text.includes(basename(program).replace(/\.ts$/, '')));
    expect(programs.filter((program) => !named(program))).toEqual([]);
    const unused = programs.flatMap((program) => {
      const text = read(program);
      const [, list = ''] = /^module\.exports = \{([^}]*)\}/m.exec(text) ?? [];
      const exported = list.match(/\w+/g) ?? [];
      const wanted = users.filter(([path]) => path === program || !path.includes('/programs/'));
      const uses = (name: string) =>
        wanted.reduce((sum, [, other]) => sum + (other.match(new RegExp(`\\b${name}\\b`, 'g')) ?? []).length, 0);
      // Once where it is declared and once in the list of exports; who runs it names it a third time.
      return exported.filter((name) => uses(name) < 3).map((name) => `${program}: ${name}`);
    });
    expect(unused).toEqual([]);
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
