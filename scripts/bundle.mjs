// Puts the modules of dist/ that `require('acall')` needs into one file, dist/bundle.js, each still evaluated at its first
// use. Forty files cost forty look-ups, reads and compilations: most of the time of an import (bench case `import`).
// What a module asks for in the middle of a function (tables, commands) stays a file of its own.
//
// The modules in the bundle become one-line files that fetch themselves from it, so that every way in, also
// acall/syslet and the command, finds the same instances.
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import ts from 'typescript';

const printer = ts.createPrinter({ removeComments: true });

/** Without comments and indentation, which V8 would read for nothing; strings of several lines stay as they are. */
function compact(code) {
  const text = printer.printFile(parse(code));
  let inText = false;
  const look = (node) => {
    if (ts.isTemplateLiteral(node) && node.getText().includes('\n')) inText = true;
    ts.forEachChild(node, look);
  };
  look(parse(text));
  return inText ? text : text.replace(/^ +/gm, '');
}

function parse(code) {
  return ts.createSourceFile('module.js', code, ts.ScriptTarget.ES2022, true, ts.ScriptKind.JS);
}

function write(path, text) {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

/** Of the root modules (paths in `dist`), with all that they require when they are evaluated. */
export function bundle(dist, roots) {
  const modules = new Map();
  const resolve = (from, specifier) => {
    const target = join(dirname(from), specifier);
    return [`${target}.js`, join(target, 'index.js')].find((candidate) => existsSync(join(dist, candidate)));
  };
  const add = (name) => {
    if (modules.has(name)) return;
    const code = readFileSync(join(dist, name), 'utf8');
    modules.set(name, code);
    for (const [, specifier] of code.matchAll(/^(?:const|var) .*require\("(\.[^"]+)"\)/gm))
      add(resolve(name, specifier));
  };
  for (const root of roots) add(root);

  const body = [...modules].map(([name, code]) => {
    const linked = compact(code)
      // What TypeScript makes of `import * as fs` copies every property; the module itself will do.
      .replace(/__importStar\((require\(['"]node:[^'"]+['"]\))\)/g, '$1')
      .replace(/require\((['"])(\.[^'"]+)\1\)/g, (whole, _quote, specifier) => {
        const target = resolve(name, specifier);
        if (target === undefined) return whole;
        return modules.has(target) ? `load(${JSON.stringify(target)})` : `require(${JSON.stringify(`./${target}`)})`;
      });
    return `${JSON.stringify(name)}(exports) {\n${linked}},\n`;
  });
  const text = `'use strict';
// Made by scripts/bundle.mjs from the modules of lib/.
const loaded = new Map();
function load(name) {
  let exports = loaded.get(name);
  if (exports === undefined) {
    loaded.set(name, (exports = {}));
    modules[name](exports);
  }
  return exports;
}
const modules = {
${body.join('')}};
module.exports = load;
`;
  write(join(dist, 'bundle.js'), text);
  for (const [name, code] of modules) {
    const names = [
      ...code.matchAll(/^(?:exports\.(\w+) = |Object\.defineProperty\(exports, "(\w+)", \{ enumerable)/gm),
    ];
    const exported = new Set(names.map((match) => match[1] ?? match[2]).filter((word) => word !== '__esModule'));
    const from = relative(dirname(name), 'bundle.js');
    write(
      join(dist, name),
      `'use strict';
module.exports = require(${JSON.stringify(from.startsWith('.') ? from : `./${from}`)})(${JSON.stringify(name)});
// For \`import { ... }\`: Node reads the names here.
0 && (module.exports = { ${[...exported].sort().join(', ')} });
`,
    );
  }
}
