/**
 * Joins the signatures with the numbers, sizes and constants of one architecture into the model that both the C++ and
 * the TypeScript tables are printed from. Names and bit values of kinds and flags are read from policy_table.h, where
 * they are written once.
 */

const flagNames = {
  fd: 'kCallReturnsFd',
  harmless: 'kCallHarmless',
  uninterrupted: 'kCallNeverInterrupted',
  rerun: 'kCallRerunnable',
  quick: 'kCallNeverBlocks',
  process: 'kCallProcessWide',
  blocks: 'kCallMayBlock',
  gone: 'kCallUnimplemented',
  fills: 'kCallReturnsLength',
};
const kindNames = {
  long: 'kLong',
  uint: 'kUint',
  int: 'kInt',
  fd: 'kFd',
  dirfd: 'kDirfd',
  path: 'kPath',
  string: 'kString',
  fixed: 'kFixed',
  bytes: 'kBytes',
  bits: 'kBits',
  pages: 'kPages',
  length: 'kLenWord',
  lengthbytes: 'kLenBytes',
  iovec: 'kIovec',
  msghdr: 'kMsghdr',
  sigset: 'kSigset',
  sigsetpack: 'kSigsetPack',
  sized: 'kSized',
  null: 'kNull',
  unchecked: 'kUnchecked',
};

/** { enum name: { member: value } } of the enums in a C++ header. */
export function readEnums(text) {
  const result = {};
  const code = text.replace(/\/\/.*$/gm, '');
  for (const [, name, body] of code.matchAll(/enum (?:class )?(\w+) : \w+ \{([^}]*)\}/g)) {
    let next = 0;
    result[name] = {};
    for (const [, member, value] of body.matchAll(/(\w+)(?:\s*=\s*(\w+))?/g)) {
      next = value === undefined ? next : Number(value);
      result[name][member] = next++;
    }
  }
  return result;
}

const headersOfCases = [
  ...['fcntl', 'falloc', 'mman', 'futex', 'keyctl', 'prctl', 'ipc', 'shm', 'sem', 'msg', 'in', 'in6', 'landlock'],
  ...['kcmp', 'mount', 'fs', 'quota'],
]
  .map((name) => `<linux/${name}.h>`)
  .concat(['<asm/ioctls.h>', '<asm/socket.h>']);

/** Names of numbers in selectors. */
function namesInCases(calls) {
  const names = new Set();
  const visit = (rule) => {
    if (!rule.selector) return;
    names.add(rule.selector.mask);
    for (const entry of rule.selector.cases) {
      for (const value of entry.values) for (const part of value.split('..')) names.add(part);
      visit(entry.rule);
    }
  };
  for (const call of calls.values()) visit(call);
  return [...names].filter((name) => /^[A-Z]/.test(name));
}

function headerNumbers(compiler) {
  const prologue = '#include <asm/unistd.h>';
  const names = compiler
    .macros(prologue)
    .filter((name) => /^__NR_[a-z_]/.test(name) && !/^__NR_(arch_specific_)?syscalls?$/.test(name));
  const values = compiler.evaluate(
    prologue,
    names.map((name) => [name, name]),
  );
  return new Map([...values].map(([name, value]) => [name.slice(5), Number(value)]));
}

/** The model of one architecture. Throws when header and signatures do not cover each other. */
export function buildTable(compiler, signatures, enums) {
  const { arch } = compiler;
  const fromHeaders = headerNumbers(compiler);
  const numbers = new Map(fromHeaders);
  for (const [name, number] of signatures.newer[arch]) {
    if (numbers.has(name) && numbers.get(name) !== number) throw new Error(`${arch}: ${name} is not ${number}`);
    numbers.set(name, number);
  }
  const missing = [...numbers.keys()].filter((name) => !signatures.calls.has(name));
  if (missing.length > 0) throw new Error(`signatures.txt lacks calls of the ${arch} headers: ${missing.join(', ')}`);

  const structs = [...signatures.structs];
  const sizes = compiler.evaluate(
    [...new Set(structs.map(([, { header }]) => `#include ${header}`))].join('\n'),
    structs.map(([name, { type }]) => [name, `sizeof(${type})`]),
  );
  const named = namesInCases(signatures.calls);
  const constants = compiler.evaluate(
    headersOfCases.map((header) => `#include ${header}`).join('\n'),
    named.map((name) => [name, name]),
  );
  const sizeOf = (name) => {
    if (!sizes.has(name)) throw new Error(`${arch}: the size of ${name} is unknown`);
    return Number(sizes.get(name));
  };
  const numberOf = (text) => {
    const value = /^[A-Z]/.test(text) ? constants.get(text) : BigInt(text);
    if (value === undefined) throw new Error(`${arch}: the value of ${text} is unknown`);
    return Number(BigInt.asUintN(32, value));
  };

  const pointerKind = enums.ArgKind.kPath;
  const argument = (arg) => {
    const kind = enums.ArgKind[kindNames[arg.kind]];
    if (kind === undefined) throw new Error(`policy_table.h has no ${kindNames[arg.kind]}`);
    let flags = 0;
    if (arg.direction?.startsWith('in')) flags |= enums.ArgFlag.kArgIn;
    if (arg.direction?.endsWith('out')) flags |= enums.ArgFlag.kArgOut;
    if (arg.copied || arg.suffixes.has('copied')) flags |= enums.ArgFlag.kArgCopied;
    if (arg.suffixes.has('fds')) flags |= enums.ArgFlag.kArgHoldsFds;
    if (arg.suffixes.has('relative')) flags |= enums.ArgFlag.kArgTimeout;
    if (arg.suffixes.has('kept')) flags |= enums.ArgFlag.kArgKept;
    if (arg.optional) flags |= enums.ArgFlag.kArgOptional;
    return {
      name: arg.name,
      optional: arg.optional,
      kindName: kindNames[arg.kind],
      kind,
      pointer: kind >= pointerKind,
      flags,
      length: arg.kind === 'sized' ? arg.least : (arg.lengthIndex ?? 0),
      extra: arg.extra ?? 0,
      size: arg.struct ? sizeOf(arg.struct) : (arg.size ?? 0),
    };
  };

  const variants = [];
  const selectors = [null];
  const cases = [];
  const rule = (call) => {
    const args = call.args.map(argument);
    let flags = 0;
    for (const word of call.words) flags |= enums.CallFlag[flagNames[word]];
    if (Number.isNaN(flags)) throw new Error(`policy_table.h lacks a flag of ${call.name}`);
    if (args.some((arg) => arg.pointer)) flags |= enums.CallFlag.kCallHasPointers;
    if (args.some((arg) => arg.flags & enums.ArgFlag.kArgCopied)) flags |= enums.CallFlag.kCallCopies;
    if (args.some((arg) => arg.flags & enums.ArgFlag.kArgKept)) flags |= enums.CallFlag.kCallKeepsMemory;
    return { name: call.name, place: call.place, flags, args, selector: call.selector ? select(call.selector) : 0 };
  };
  const select = (selector) => {
    const mine = selector.cases.flatMap((entry) => {
      const result = rule(entry.rule);
      const key = JSON.stringify(result);
      let index = variants.findIndex((variant) => variant.key === key);
      if (index < 0) index = variants.push({ ...result, key }) - 1;
      return entry.values.map((value) => {
        const [low, high = low] = value.split('..').map(numberOf);
        return { low, high, rule: index, text: value };
      });
    });
    mine.sort((a, b) => a.low - b.low);
    const merged = [];
    for (const entry of mine) {
      const last = merged.at(-1);
      if (last && entry.low <= last.high && entry.rule !== last.rule) {
        throw new Error(`${arch}: ${last.text} and ${entry.text} overlap`);
      }
      if (last && entry.rule === last.rule && entry.low <= last.high + 1) last.high = Math.max(last.high, entry.high);
      else merged.push({ ...entry });
    }
    const first = cases.length;
    cases.push(...merged);
    selectors.push({ arg: selector.arg, mask: numberOf(selector.mask), first, count: merged.length });
    return selectors.length - 1;
  };

  const calls = [...numbers]
    .sort((a, b) => a[1] - b[1])
    .map(([name, number]) => ({ number, ...rule(signatures.calls.get(name)) }));
  return { arch, calls, variants, selectors, cases, count: calls.at(-1).number + 1, fromHeaders };
}
