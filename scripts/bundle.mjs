// Puts the modules of dist/ that `require('acall')` needs into one file, dist/modules-HASH.js, each still evaluated at its
// first use. Forty files cost forty look-ups, reads and compilations: most of the time of an import (bench case `import`).
// What a module asks for in the middle of a function (tables, commands) stays a file of its own.
//
// The modules in the bundle become one-line files that fetch themselves from it by way of dist/bundle.js, so that every
// way in, also acall/syslet and the command, finds the same instances.
//
// Beside it lies what the V8 that built it has compiled. Another V8 looks for a cache of another name, finds none and
// compiles; the bundle's hash in the names keeps a cache from meeting other code than its own.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
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

/* The bundle is a module of Node's, and without this beginning a script that a cache fits. */
const kHead = 'module.exports = ';

/* What both dist/bundle.js and the making of the cache do. `latin1` reads fastest, and is the same where all is ASCII. */
function compiling(text, filename, cachedData) {
  const encoding = Buffer.byteLength(text) === text.length ? 'latin1' : 'utf8';
  return `  const code = fs.readFileSync(filename, '${encoding}').slice(${kHead.length});
  const script = new (require('node:vm').Script)(code, { filename: ${filename}, columnOffset: ${kHead.length}${cachedData} });
  const load = script.runInThisContext()(require);
`;
}

/* Bun calls itself a V8 too. */
function loader(stem, text) {
  return `'use strict';
${names(stem)}if (process.versions.bun === undefined && fs.existsSync(kept)) {
${compiling(text, 'filename', ', cachedData: fs.readFileSync(kept)')}  module.exports = load;
} else {
  module.exports = require('./${stem}.js')(require);
}
`;
}

function names(stem) {
  return `const fs = require('node:fs');
const filename = \`\${__dirname}/${stem}.js\`;
const kept = \`\${__dirname}/${stem}.\${process.arch}-\${process.versions.v8}.cache\`;
`;
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
    return `${JSON.stringify(name)}: (function (exports) {\n${linked}}),\n`;
  });
  const text = `${kHead}(function (require) {
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
return load;
})`;
  const stem = `modules-${createHash('sha256').update(text).digest('hex').slice(0, 16)}`;
  write(join(dist, `${stem}.js`), text);
  write(join(dist, 'bundle.js'), loader(stem, text));
  for (const [name, code] of modules) {
    const found = [
      ...code.matchAll(/^(?:exports\.(\w+) = |Object\.defineProperty\(exports, "(\w+)", \{ enumerable)/gm),
    ];
    const exported = new Set(found.map((match) => match[1] ?? match[2]).filter((word) => word !== '__esModule'));
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
  for (const name of readdirSync(dist)) {
    if (name.startsWith('modules-') && !name.startsWith(stem)) rmSync(join(dist, name));
  }
  // Run once, so that what an import runs is in it. Without an addon there is nothing that would run. The cache keeps the
  // name, for stack traces: not that of a folder on the machine that builds.
  const making = `${names(stem)}{
${compiling(text, JSON.stringify(`acall/dist/${stem}.js`), '')}  load('index.js');
  fs.writeFileSync(kept, script.createCachedData());
}
`;
  write(join(dist, 'making.js'), making);
  spawnSync(process.execPath, [join(dist, 'making.js')], { stdio: 'ignore' });
  rmSync(join(dist, 'making.js'));
}
