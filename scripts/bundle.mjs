// Puts the modules of dist/ that `require('acall')` needs into one file, dist/modules-HASH.js. Each module is still evaluated
// at its first use. Each separate file would cost a look-up, a reading and a compilation (bench case `import`). A module that
// is required in the middle of a function (tables, sub-commands) stays a file of its own.
//
// The files of bundled modules become one-line files that take their module from the bundle by way of dist/bundle.js, so that
// every entry point, also acall/syslet and the command, gets the same instances.
//
// The command has a bundle of its own, dist/command-HASH.js, which contains its argument parser.
//
// Beside each bundle lies a cache of the code that V8 has compiled of it. Another version of V8 looks for a cache with
// another name, finds none and compiles the bundle. The hash of the bundle is part of both names, so that a cache never meets
// other code.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import ts from 'typescript';

const printer = ts.createPrinter({ removeComments: true });

/** Removes comments and indentation, so that V8 reads less. Code with strings of several lines keeps its indentation. */
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

/* The bundle is a CommonJS module. Without this beginning it is a script, which can have a cache. */
const kHead = 'module.exports = ';

/*
 * The code that loads a bundle as a script, for dist/bundle.js and for making the cache. ASCII is read as latin1, which is
 * fastest.
 */
function compiling(text, filename, cachedData) {
  const encoding = Buffer.byteLength(text) === text.length ? 'latin1' : 'utf8';
  return `  const code = fs.readFileSync(filename, '${encoding}').slice(${kHead.length});
  const script = new (require('node:vm').Script)(code, { filename: ${filename}, columnOffset: ${kHead.length}${cachedData} });
  const load = script.runInThisContext()(require);
`;
}

/* The text of dist/bundle.js. Bun has a version of V8 too, but cannot use the cache. */
function loader(stem, text) {
  return `'use strict';
${names(stem)}if (process.versions.bun === undefined && fs.existsSync(kept)) {
${compiling(text, 'filename', ', cachedData: fs.readFileSync(kept)')}  module.exports = load;
} else {
  module.exports = require('./${stem}.js')(require);
}
`;
}

/** The modules of a bundle, of acall and of bundled packages, with their code by name. */
class Modules {
  #dist;
  #packages;
  #elsewhere;
  codes = new Map();

  constructor(dist, packages, elsewhere) {
    this.#dist = dist;
    this.#packages = packages;
    this.#elsewhere = elsewhere;
  }

  /** Adds a module, and all modules that it requires when it is evaluated. */
  add(name) {
    if (this.codes.has(name)) return;
    const code = readFileSync(this.#place(name), 'utf8').replace(/^#!.*\n/, '');
    this.codes.set(name, code);
    for (const [, , specifier] of code.matchAll(/^(?:const|var) .*require\((['"])([^'"]+)\1\)/gm)) {
      const target = this.#resolve(name, specifier);
      if (target !== undefined && !target.endsWith('.json') && !this.#elsewhere?.has(target)) this.add(target);
    }
  }

  /** The code that replaces a `require`: of a module of this bundle, of the other bundle, or of a file beside it. */
  link(name, whole, specifier) {
    const target = this.#resolve(name, specifier);
    if (target === undefined) return whole;
    if (this.codes.has(target)) return `load(${JSON.stringify(target)})`;
    if (this.#elsewhere?.has(target)) return `require("./bundle.js")(${JSON.stringify(target)})`;
    return `require(${JSON.stringify(`./${target}`)})`;
  }

  #place(name) {
    const from = this.#packages.find((each) => name.startsWith(`${each}/`));
    return from === undefined ? join(this.#dist, name) : join(this.#dist, '..', 'node_modules', name);
  }

  #resolve(from, specifier) {
    const isOurs = specifier.startsWith('.') || this.#packages.includes(specifier);
    if (!isOurs) return undefined;
    const target = specifier.startsWith('.') ? join(dirname(from), specifier) : specifier;
    const candidates = [`${target}.js`, target, join(target, 'index.js')];
    return candidates.find((name) => statSync(this.#place(name), { throwIfNoEntry: false })?.isFile());
  }
}

/* The licenses of the packages in a bundle, as comments. */
function licenses(dist, packages) {
  return packages
    .map(
      (name) => `/*! ${name}\n${readFileSync(join(dist, '..', 'node_modules', name, 'LICENSE'), 'utf8').trim()}\n*/\n`,
    )
    .join('');
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

/**
 * Makes a bundle of the root modules (paths in `dist`) and of all modules that they require when they are evaluated.
 * @param {string} dist
 * @param {object} what
 * @param {string} what.stem beginning of the names of the bundle's files
 * @param {string} what.file the file that loads it
 * @param {string[]} what.roots
 * @param {string} what.run a program that uses `load`; V8's compiled code is stored when it ends
 * @param {string[]} [what.packages] whose modules belong in it
 * @param {Map<string, string>} [what.elsewhere] modules of the other bundle
 * @returns {Map<string, string>} its modules
 */
export function bundle(dist, { stem: prefix, file, roots, run, packages = [], elsewhere }) {
  const modules = new Modules(dist, packages, elsewhere);
  for (const root of roots) modules.add(root);

  const body = [...modules.codes].map(([name, code]) => {
    const linked = compact(code)
      // TypeScript's code for `import * as fs` copies every property; the module itself is enough.
      .replace(/__importStar\((require\(['"]node:[^'"]+['"]\))\)/g, '$1')
      .replace(/require\((['"])([^'"]+)\1\)/g, (whole, _quote, specifier) => modules.link(name, whole, specifier));
    return `${JSON.stringify(name)}: (function (exports) {\n${linked}}),\n`;
  });
  const text = `${kHead}(function (require) {
// Made by scripts/bundle.mjs from the modules of lib/.
${licenses(dist, packages)}const loaded = new Map();
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
  const stem = `${prefix}-${createHash('sha256').update(text).digest('hex').slice(0, 16)}`;
  write(join(dist, `${stem}.js`), text);
  write(join(dist, file), loader(stem, text));
  for (const [name, code] of modules.codes) {
    if (packages.some((each) => name.startsWith(`${each}/`))) continue;
    const path = join(dist, name);
    const isProgram = readFileSync(path, 'utf8').startsWith('#!');
    write(path, isProgram ? programStub(name, file, code) : moduleStub(name, file, code));
  }
  for (const name of readdirSync(dist)) {
    if (name.startsWith(`${prefix}-`) && !name.startsWith(stem)) rmSync(join(dist, name));
  }
  // Without an addon nothing runs, and no cache is made. The cache keeps the file name for stack traces, so the name contains
  // no folder of the machine that builds.
  const making = `${names(stem)}{
${compiling(text, JSON.stringify(`acall/dist/${stem}.js`), '')}  process.once('exit', (code) => code === 0 && fs.writeFileSync(kept, script.createCachedData()));
  ${run}
}
`;
  write(join(dist, 'making.js'), making);
  spawnSync(process.execPath, [join(dist, 'making.js')], { stdio: 'ignore' });
  rmSync(join(dist, 'making.js'));
  return modules.codes;
}

function wayFrom(name, file) {
  const way = relative(dirname(name), file);
  return JSON.stringify(way.startsWith('.') ? way : `./${way}`);
}

function moduleStub(name, file, code) {
  const found = [...code.matchAll(/^(?:exports\.(\w+) = |Object\.defineProperty\(exports, "(\w+)", \{ enumerable)/gm)];
  const exported = new Set(found.map((match) => match[1] ?? match[2]).filter((word) => word !== '__esModule'));
  return `'use strict';
module.exports = require(${wayFrom(name, file)})(${JSON.stringify(name)});
// For \`import { ... }\`: Node reads the names here.
0 && (module.exports = { ${[...exported].sort().join(', ')} });
`;
}

/* The file of a program: modules that it requires only for their effect come before the bundle. */
function programStub(name, file, code) {
  const first = [...code.matchAll(/^require\("\.[^"]+"\);$/gm)].map(([line]) => `${line}\n`).join('');
  return `#!/usr/bin/env node
'use strict';
${first}require(${wayFrom(name, file)})(${JSON.stringify(name)});
`;
}
