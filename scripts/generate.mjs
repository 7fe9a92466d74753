#!/usr/bin/env node
/**
 * Writes the generated files: native/core/generated (policy tables of both architectures, values of wire.h), lib/generated and
 * docs/syscalls.md. The sources are native/core/syscalls/signatures.txt, native/core/syscalls/policy_table.h, native/core/abi.h,
 * native/core/wire.h and the kernel headers.
 *
 *   npm run generate               writes the files
 *   npm run generate -- --check    exits 1 when they differ from what is committed
 *
 * Needs the C++ compilers and kernel headers of both architectures (Debian: g++ and g++-aarch64-linux-gnu).
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Compiler, findCompiler } from './generate/compiler.mjs';
import { emitConstants, parseConstants, readConstants } from './generate/constants.mjs';
import { emitDocs } from './generate/emit-docs.mjs';
import { emitNative } from './generate/emit-native.mjs';
import { emitSyscallIndex, emitSyscalls } from './generate/emit-syscalls.mjs';
import { emitErrno } from './generate/errno.mjs';
import { emitLayout } from './generate/layout.mjs';
import { readSignatures } from './generate/signatures.mjs';
import { buildTable, readEnums } from './generate/table.mjs';
import { emitWire } from './generate/wire.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const read = (path) => readFileSync(join(root, path), 'utf8');

function generate() {
  const compilers = {};
  for (const [arch, hint] of [
    ['x64', 'g++ or g++-x86-64-linux-gnu'],
    ['arm64', 'g++ or g++-aarch64-linux-gnu'],
  ]) {
    const command = findCompiler(arch);
    if (!command) throw new Error(`no C++ compiler for ${arch}: install ${hint}; the tables hold both architectures`);
    compilers[arch] = new Compiler(arch, command);
  }
  const signatures = readSignatures(read('native/core/syscalls/signatures.txt'));
  const enums = readEnums(read('native/core/syscalls/policy_table.h'));
  const tables = Object.values(compilers).map((compiler) => buildTable(compiler, signatures, enums));
  for (const name of signatures.calls.keys()) {
    if (!tables.some((table) => table.calls.some((call) => call.name === name))) {
      throw new Error(`signatures.txt: ${name} is a call of no architecture`);
    }
  }
  const constants = { x64: readConstants(compilers.x64), arm64: readConstants(compilers.arm64) };
  const host = findCompiler(process.arch);
  const files = new Map();
  for (const table of tables) {
    files.set(`native/core/generated/policy_table_${table.arch}.inc`, emitNative(table));
    files.set(`lib/generated/syscalls-${table.arch}.ts`, emitSyscalls(table, enums));
  }
  files.set('lib/generated/syscalls.ts', emitSyscallIndex(tables, signatures, enums));
  const headers = Object.values(compilers)
    .map((compiler) => `${compiler.arch} ${compiler.headerVersion()}`)
    .join(', ');
  const printed = emitConstants({ x64: constants.x64.constants, arm64: constants.arm64.constants }, headers);
  files.set('lib/generated/constants-data.ts', printed.data);
  files.set('lib/generated/constants.ts', printed.types);
  files.set('docs/syscalls.md', emitDocs(signatures, tables));
  files.set('lib/generated/errno.ts', emitErrno(host, constants.x64));
  files.set(
    'lib/generated/layout.ts',
    emitLayout(compilers.x64, join(root, 'native/core/abi.h'), read('native/core/abi.h')),
  );
  const wire = emitWire(
    Object.values(compilers),
    join(root, 'native/core/wire.h'),
    read('native/core/wire.h'),
    errorNumbers(constants),
  );
  files.set('lib/generated/wire.ts', wire.typescript);
  files.set('native/core/generated/wire_values.inc', wire.native);
  return files;
}

/** The errors that have the same number on both architectures. */
function errorNumbers({ x64, arm64 }) {
  return [...x64.constants].filter(([name, number]) => x64.errors.has(name) && arm64.constants.get(name) === number);
}

let files;
try {
  files = generate();
} catch (error) {
  console.error(`generate: ${error.message}${error.stderr ? `\n${error.stderr}` : ''}`);
  process.exit(2);
}
const check = process.argv.includes('--check');
let different = 0;

/**
 * Whether two sets of constants differ only because they come from different headers: names in both sets have the same values.
 * constants.ts contains only names.
 */
function sameConstants() {
  const path = 'lib/generated/constants-data.ts';
  const [old, now] = [parseConstants(read(path)), parseConstants(files.get(path))];
  if (old.headers === now.headers) return false;
  for (const arch of ['x64', 'arm64']) {
    for (const [name, value] of Object.entries(now[arch])) {
      if (name in old[arch] && old[arch][name] !== value) {
        console.error(`generate: ${name} is ${value}, was ${old[arch][name]}`);
        return false;
      }
    }
  }
  console.error(`generate: ${path} was made from other headers (${old.headers}; here ${now.headers}), values agree`);
  return true;
}

for (const [path, text] of files) {
  const full = join(root, path);
  const committed = existsSync(full) ? readFileSync(full, 'utf8') : '';
  if (committed === text) continue;
  if (check && path.startsWith('lib/generated/constants') && committed && sameConstants()) continue;
  different++;
  if (check) {
    console.error(`generate: ${path} is not up to date`);
  } else {
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, text);
    console.log(`wrote ${path}`);
  }
}
process.exitCode = check && different > 0 ? 1 : 0;
