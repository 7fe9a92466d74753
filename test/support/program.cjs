/*
 * Runs one function of a file of programs, JavaScript or TypeScript: in a process of its own as `node program.cjs FILE NAME ARGUMENTS`, ARGUMENTS in JSON,
 * or in a Worker whose workerData is { file, name, args }. What the function of a process returns is printed as JSON; then the
 * process ends by itself.
 */
const fs = require('node:fs');
const { isMainThread, workerData } = require('node:worker_threads');

const [file, name, args] = isMainThread
  ? [process.argv[2], process.argv[3], JSON.parse(process.argv[4] ?? '[]')]
  : [workerData.file, workerData.name, workerData.args];

if (file.endsWith('.ts')) {
  const { ModuleKind, ScriptTarget, transpileModule } = require('typescript');
  const compilerOptions = { module: ModuleKind.CommonJS, target: ScriptTarget.ES2022 };
  require.extensions['.ts'] = (/** @type {any} */ module, path) =>
    module._compile(transpileModule(fs.readFileSync(path, 'utf8'), { compilerOptions }).outputText, path);
}

(async () => {
  const answer = await require(file)[name](...args);
  if (isMainThread && answer !== undefined) fs.writeSync(1, JSON.stringify(answer));
})();
