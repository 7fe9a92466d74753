/**
 * Asks a C++ compiler for numbers of system calls, sizes, constants and offsets of an architecture, which may not be that of this
 * machine. Compiled code is not run: the values are read from the assembler text.
 */
import { execFileSync, spawnSync } from 'node:child_process';

const triples = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' };

/** The C++ compiler for an architecture, or null. */
export function findCompiler(arch) {
  const names = process.arch === arch ? [process.env.CXX, 'g++', 'c++', 'clang++'] : [`${triples[arch]}-g++`];
  for (const name of names) {
    if (name && spawnSync(name, ['--version']).status === 0) return name;
  }
  return null;
}

export class Compiler {
  #command;

  constructor(arch, command) {
    this.arch = arch;
    this.#command = command;
  }

  #run(args, input) {
    return execFileSync(this.#command, args, {
      input,
      encoding: 'utf8',
      maxBuffer: 256 << 20,
      env: { ...process.env, LC_ALL: 'C' },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
  }

  /** The text of these headers after preprocessing. */
  preprocess(prologue) {
    return this.#run(['-x', 'c', '-E', '-P', '-'], prologue);
  }

  /** Version of the kernel headers, as 6.1.187. */
  headerVersion() {
    const code = Number(this.evaluate('#include <linux/version.h>', [['code', 'LINUX_VERSION_CODE']]).get('code'));
    return `${code >> 16}.${(code >> 8) & 255}.${code & 255}`;
  }

  /** Names of the object-like macros that these headers define. */
  macros(prologue) {
    const text = this.#run(['-x', 'c', '-E', '-dM', '-'], prologue);
    return [...text.matchAll(/^#define (\w+) \S/gm)].map((match) => match[1]);
  }

  /**
   * Values of integer constant expressions, by name. Anything else (a type, a string, a macro that does not compile) is left out.
   */
  evaluate(prologue, expressions) {
    const base = prologue.split('\n').length + 2;
    const flags = ['-x', 'c++', '-std=c++20', '-w', '-fpermissive', '-fmax-errors=0'];
    const source = (list) => {
      const lines = list.map(
        ([name, text]) =>
          `asm volatile("@@ ${name} %0 %1" :: ` +
          `"i"((long long)(${text})), "i"((int)((decltype(+(${text})))-1 > (decltype(+(${text})))0)));`,
      );
      return [prologue, 'void values() {', ...lines, '}', ''].join('\n');
    };
    let candidates = [...expressions];
    let assembler;
    while (assembler === undefined) {
      try {
        assembler = this.#run([...flags, '-S', '-o', '-', '-'], source(candidates));
      } catch (error) {
        const bad = new Set(
          [...String(error.stderr).matchAll(/^<stdin>:(\d+):(?:\d+:)? .*error/gm)].map((m) => Number(m[1]) - base),
        );
        const left = candidates.filter((_, index) => !bad.has(index));
        if (left.length === candidates.length) throw error;
        candidates = left;
      }
    }
    const values = new Map();
    for (const [, name, value, unsigned] of assembler.matchAll(/@@ (\w+) [#$]?(-?\d+) [#$]?(\d)/g)) {
      const number = BigInt(value);
      values.set(name, number < 0n && unsigned === '1' ? BigInt.asUintN(64, number) : number);
    }
    return values;
  }
}
