// Proves that tests can fail: each test that is new or changed since a commit must fail on the code of that commit and pass now.
// Usage: npm run prove:red [-- BASE [FILE...]]   BASE is HEAD^ by default and is compared with the working tree, which must be built.
// FILE: only files of test/ whose paths contain one of these texts.
//
// BASE is built in a worktree of its own, with the present test/ in place of its own. There the changed vitest files and core programs
// run. A test counts as changed when its text, or the text of a program that it runs, differs. It counts as new when BASE's file has no
// test of that name. For each such test one line is printed:
//   red          the test fails there and passes here; or its file hangs, does not load or does not compile there (then it is printed)
//   cannot fail  the test passes there too: exit 1, unless test/green-on-parent.txt names it with a reason
//   broken       the test fails here: exit 1
//   skipped      the test has skipped itself, here or there
// A file that hangs on BASE is ended after some minutes. Files run one after the other, so that results do not depend on the load.
import { spawn, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = join(fileURLToPath(import.meta.url), '..', '..');
const [base = 'HEAD^', ...parts] = process.argv.slice(2);
const kFileSeconds = 240;
const kCoreTestSeconds = 60;

const git = (...args) => {
  const { status, stdout, stderr } = spawnSync('git', args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28 });
  if (status !== 0) throw new Error(`git ${args.join(' ')}: ${stderr}`);
  return stdout;
};
const textAtBase = (path) => {
  const { status, stdout } = spawnSync('git', ['show', `${base}:${path}`], { cwd: root, encoding: 'utf8' });
  return status === 0 ? stdout : '';
};

/** Runs a command. The status is null when it timed out; then all processes that it has started are ended with it. */
function run(command, args, { cwd, seconds, quiet = true, env = {} }) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, NO_COLOR: '1', ...env },
      detached: true,
      stdio: ['ignore', 'pipe', quiet ? 'pipe' : 'inherit'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (output += chunk));
    const end = (status) => {
      clearTimeout(timer);
      resolve({ status, output });
    };
    const timer = setTimeout(() => {
      process.kill(-child.pid, 'SIGKILL');
      end(null);
    }, seconds * 1000);
    child.on('error', reject);
    child.on('close', (status, signal) => end(status ?? signal));
  });
}

/** The calls it(...), test(...) and their kin in a file: text, first and last line. */
function testCalls(text) {
  const source = ts.createSourceFile('tests.ts', text, ts.ScriptTarget.Latest, true);
  const found = [];
  const visit = (node) => {
    if (ts.isCallExpression(node) && /^(it|test)\b/.test(node.expression.getText(source)) && isOuter(node)) {
      const line = (at) => source.getLineAndCharacterOfPosition(at).line + 1;
      found.push({ text: node.getText(source), from: line(node.getStart(source)), to: line(node.getEnd()) });
    }
    ts.forEachChild(node, visit);
  };
  // it.each(table)(name, body) is two calls: the outer one is the test.
  const isOuter = (node) => !(ts.isCallExpression(node.parent) && node.parent.expression === node);
  visit(source);
  return found;
}

/** The top-level declarations of a program of test files, by name. */
function declarations(text) {
  const source = ts.createSourceFile('program.cjs', text, ts.ScriptTarget.Latest, true);
  return new Map(
    source.statements.flatMap((node) => {
      if (ts.isFunctionDeclaration(node)) return [[node.name.text, node.getText(source)]];
      if (!ts.isVariableStatement(node)) return [];
      const named = node.declarationList.declarations.filter((each) => ts.isIdentifier(each.name));
      return named.map((each) => [each.name.text, node.getText(source)]);
    }),
  );
}

/** The functions of a test file's programs that differ from BASE's, by themselves or by what they use. */
function changedPrograms(file, text) {
  const programs = new Set([...text.matchAll(/[\w-]+\.[cm]js(?=')/g)].map(([name]) => name));
  return [...programs].flatMap((program) => {
    const path = join(dirname(file), 'programs', program);
    const before = declarations(textAtBase(path));
    if (before.size === 0 || !existsSync(join(root, path))) return [];
    const now = declarations(readFileSync(join(root, path), 'utf8'));
    const changed = new Set([...now.keys()].filter((name) => before.get(name) !== now.get(name)));
    for (let size = -1; size !== changed.size; ) {
      size = changed.size;
      const uses = new RegExp(`\\b(${[...changed].join('|')})\\b`);
      for (const [name, body] of now) if (size > 0 && uses.test(body)) changed.add(name);
    }
    return [...changed];
  });
}

/** The tests of a core program by their names, each with its text. */
const coreTests = (text) =>
  new Map(
    [...text.matchAll(/^TEST\(("(?:[^"\\]|\\.)*"|\w+)\) \{[\s\S]*?(?:^\}|\}$)/gm)].map(([block, name]) => [
      name.replace(/^"|"$/g, ''),
      block,
    ]),
  );

const results = [];
const note = (file, name, there, here) => results.push({ file, name, there, here });

/** Runs one vitest file. Returns for each test, by its full name, whether it passed, failed or was skipped, and its line. */
async function runVitest(tree, file) {
  const report = join(tree, 'build-core', `red-${process.pid}.json`);
  rmSync(report, { force: true });
  const { status, output } = await run(
    process.execPath,
    [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--includeTaskLocation', '--root', tree, file],
    { cwd: tree, seconds: kFileSeconds, env: { ACALL_TEST_REPORT: report } },
  );
  if (status === null) return { why: 'its file hangs', tests: new Map() };
  const told = existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')) : { testResults: [] };
  rmSync(report, { force: true });
  const tests = new Map();
  for (const { assertionResults } of told.testResults)
    for (const { fullName, status: end, location } of assertionResults)
      tests.set(fullName, { end: /passed|failed/.test(end) ? end : 'skipped', line: location?.line });
  const why = output.match(/^(?:\w*Error|SyntaxError): .*$/m)?.[0] ?? `exit ${status}`;
  return { why: `its file does not load: ${why}`, tests };
}

async function proveVitest(file, tree) {
  const text = readFileSync(join(root, file), 'utf8');
  const known = new Set(testCalls(textAtBase(file)).map((call) => call.text));
  const programs = new Set(changedPrograms(file, text));
  const runs = (call) => [...call.text.matchAll(/'(\w+)'/g)].some(([, name]) => programs.has(name));
  const changed = testCalls(text).filter((call) => !known.has(call.text) || runs(call));
  const here = await runVitest(root, file);
  if (here.tests.size === 0) return note(file, '(the whole file)', 'not run', `failed: ${here.why}`);
  const listed = known.size === 0 ? new Set() : await namesAtBase(file, tree);
  const wanted = [...here.tests].filter(
    ([name, { line }]) => changed.some(({ from, to }) => line >= from && line <= to) || (listed && !listed.has(name)),
  );
  if (wanted.length === 0) return;
  const there = await runVitest(tree, file);
  for (const [name, { end }] of wanted) note(file, name, there.tests.get(name)?.end ?? `failed: ${there.why}`, end);
}

/** The names of the tests in BASE's version of a file; null when that file cannot be read. */
async function namesAtBase(file, tree) {
  const own = join(tree, file.replace(/\.test\.ts$/, `.base-${process.pid}.test.ts`));
  writeFileSync(own, textAtBase(file));
  const list = join(tree, 'build-core', `list-${process.pid}.json`);
  const args = [join(root, 'node_modules/vitest/vitest.mjs'), 'list', `--json=${list}`, '--root', tree, own];
  const { status } = await run(process.execPath, args, { cwd: tree, seconds: 60 });
  rmSync(own, { force: true });
  if (status !== 0 || !existsSync(list)) return null;
  const names = JSON.parse(readFileSync(list, 'utf8')).map(({ name }) => name.replaceAll(' > ', ' '));
  rmSync(list, { force: true });
  return new Set(names);
}

async function buildCore(tree, program) {
  const build = join(tree, 'build-core', 'red');
  if (!existsSync(join(build, 'Makefile'))) {
    const kind = ['-DCMAKE_BUILD_TYPE=RelWithDebInfo', '-DCMAKE_C_COMPILER=gcc', '-DCMAKE_CXX_COMPILER=g++'];
    kind.push(`-DCMAKE_CXX_FLAGS=-I${join(tree, 'test', 'core', 'support')}`); // an older BASE has no such folder
    const { status, output } = await run('cmake', ['-G', 'Unix Makefiles', '-S', tree, '-B', build, ...kind], {
      cwd: tree,
      seconds: 120,
    });
    if (status !== 0) throw new Error(`cmake in ${tree}: ${output}`);
  }
  const jobs = String(availableParallelism());
  const { status, output } = await run('cmake', ['--build', build, '--parallel', jobs, '--target', program], {
    cwd: tree,
    seconds: 900,
  });
  return { path: join(build, program), error: status === 0 ? null : (output.match(/error: .*/)?.[0] ?? `${status}`) };
}

async function proveCore(file, tree) {
  const before = coreTests(textAtBase(file));
  const now = coreTests(readFileSync(join(root, file), 'utf8'));
  const changed = [...now].filter(([name, text]) => before.get(name) !== text).map(([name]) => name);
  if (changed.length === 0) return;
  const [here, there] = [await buildCore(root, basename(file, '.cc')), await buildCore(tree, basename(file, '.cc'))];
  const outcome = async ({ path, error }, cwd, name) => {
    if (error !== null) return `failed: it does not compile: ${error}`;
    const { status, output } = await run(path, [name.replace(/\\(.)/g, '$1')], { cwd, seconds: kCoreTestSeconds });
    if (status === null) return 'failed: it hangs';
    if (output.includes(`${name.replace(/\\(.)/g, '$1')} ... SKIPPED`)) return 'skipped';
    return status === 0 ? 'passed' : `failed${typeof status === 'string' ? `: ${status}` : ''}`;
  };
  for (const name of changed) note(file, name, await outcome(there, tree, name), await outcome(here, root, name));
}

/** The exceptions of test/green-on-parent.txt: lines "FILE: NAME: REASON", NAME as it is printed here; * stands for any text. */
const excused = readFileSync(join(root, 'test', 'green-on-parent.txt'), 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
  .map((line) => {
    const at = line.lastIndexOf(': ');
    const pattern = line
      .slice(0, at)
      .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
      .replaceAll('*', '.*');
    return { pattern: new RegExp(`^${pattern}$`), why: line.slice(at + 2) };
  });
const excuseOf = ({ file, name }) => excused.find(({ pattern }) => pattern.test(`${file}: ${name}`))?.why;

/** The test files to run for a changed file: the file itself, or for a program the test files that name it. */
function testsOf(path) {
  if (basename(dirname(path)) !== 'programs') return [path];
  const folder = dirname(dirname(path));
  return readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => join(folder, name))
    .filter((test) => readFileSync(join(root, test), 'utf8').includes(basename(path)));
}

const touched = [
  ...git('diff', '--name-only', '--diff-filter=AMR', base, '--', 'test').split('\n'),
  ...git('ls-files', '--others', '--exclude-standard', '--', 'test').split('\n'),
];
const files = [...new Set(touched.flatMap(testsOf))]
  .filter((path) => /\.test\.ts$|^test\/core\/[^/]*_test\.cc$/.test(path) && !path.startsWith('test/package/'))
  .filter((path) => parts.length === 0 || parts.some((part) => path.includes(part)));

const folder = mkdtempSync(join(tmpdir(), 'acall-red-'));
const tree = join(folder, 'base');
process.once('exit', () => {
  spawnSync('git', ['worktree', 'remove', '--force', tree], { cwd: root });
  rmSync(folder, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130));

git('worktree', 'add', '--detach', '--force', tree, base);
symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'));
const built = await run('npm', ['run', '--silent', 'build'], { cwd: tree, seconds: 900 });
if (built.status !== 0) {
  console.error(built.output);
  throw new Error(`${base} could not be built`);
}
rmSync(join(tree, 'test'), { recursive: true });
for (const path of ['test', 'vitest.config.mts']) cpSync(join(root, path), join(tree, path), { recursive: true });

for (const file of files) {
  console.error(`${file} ...`);
  await (file.endsWith('.cc') ? proveCore : proveVitest)(file, tree);
}

const kinds = { red: 0, 'cannot fail': 0, excused: 0, broken: 0, skipped: 0 };
for (const result of results) {
  const excuse = excuseOf(result);
  const kind = result.here.startsWith('failed')
    ? 'broken'
    : [result.here, result.there].includes('skipped')
      ? 'skipped'
      : result.there.startsWith('failed')
        ? 'red'
        : excuse === undefined
          ? 'cannot fail'
          : 'excused';
  kinds[kind]++;
  const said = (kind === 'broken' ? result.here : result.there).replace(/^\w+:? ?/, '');
  console.log(`${kind.padEnd(11)}  ${result.file}: ${result.name}${(excuse ?? said) ? ` (${excuse ?? said})` : ''}`);
}
console.log(
  `${base}: ${Object.entries(kinds)
    .map(([kind, count]) => `${count} ${kind}`)
    .join(', ')}`,
);
process.exit(kinds['cannot fail'] + kinds.broken > 0 ? 1 : 0);
