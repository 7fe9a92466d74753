/** Layout of the structs in native/core/abi.h and the constants beside them, for lib/generated/layout.ts. */
import { banner } from './emit-syscalls.mjs';

const camelCase = (name) => name.replace(/_pointer/g, 'Pointer').replace(/_(\w)/g, (_, letter) => letter.toUpperCase());

/** Descriptions of the constants that the package exports. */
const meanings = {
  ACALL_SUBMIT_THREAD_POOL:
    'Flag of a submission: the op goes to the pool. Without it the op gets a thread of its own.',
  ACALL_SUBMIT_INLINE:
    'Flag of a submission: the op runs during `acall_submit` where it cannot block (docs/inline.md).',
  ACALL_SUBMIT_UNSAFE: 'Flag of a submission: also calls that docs/syscalls.md lists under "Only with unsafe".',
  SYSLET_ASYNC: 'Flag of an atom: the program goes to the pool at this atom, also if the atom would not block.',
  SYSLET_SYNC: 'Flag of an atom: `async_exec` waits for this atom.',
  SYSLET_NO_COMPLETE: 'Flag of an atom: a program that ends at this atom leaves no ring entry.',
  SYSLET_STOP_ON_NONZERO: 'Flag of an atom: the program stops when the result is not 0.',
  SYSLET_STOP_ON_ZERO: 'Flag of an atom: the program stops when the result is 0.',
  SYSLET_STOP_ON_NEGATIVE: 'Flag of an atom: the program stops when the result is below 0.',
  SYSLET_STOP_ON_NON_POSITIVE: 'Flag of an atom: the program stops when the result is 0 or less.',
  SYSLET_SKIP_TO_NEXT_ON_STOP:
    'Flag of an atom: a stop goes on at the next atom in memory instead of ending the program.',
  SYSLET_NR_UMEM_ADD:
    'Number of an atom: adds argument 2 to the 8-byte word at argument 1; the result is the new value.',
};

/** Reads abi.h: struct names, field names, and constants named ACALL_* or SYSLET_*. */
export function emitLayout(compiler, abiPath, abiText) {
  const structs = [...abiText.matchAll(/^struct (\w+) \{\n([^}]*)\};/gm)].map(([, name, body]) => ({
    name,
    fields: [...body.replace(/\/\/.*$/gm, '').matchAll(/^\s*[\w ]+?[ *](\w+)(\[\w*\])?;/gm)].map((match) => match[1]),
  }));
  const constants = [...abiText.matchAll(/constexpr \w+ ((?:ACALL|SYSLET)_\w+)/g)].map((match) => match[1]);
  const expressions = structs.flatMap(({ name, fields }) => [
    [`${name}__size`, `sizeof(${name})`],
    ...fields.map((field) => [`${name}__${field}`, `offsetof(${name}, ${field})`]),
  ]);
  expressions.push(...constants.map((name) => [name, name]));
  const values = compiler.evaluate(`#include "${abiPath}"`, expressions);
  const value = (name) => {
    if (!values.has(name)) throw new Error(`abi.h: ${name} has no value`);
    return values.get(name);
  };
  const blocks = structs.map(
    ({ name, fields }) => `/** Offsets of struct ${name} in bytes, and its size. */
export const ${camelCase(name)}Layout = {
  size: ${value(`${name}__size`)},
${fields.map((field) => `  ${field}: ${value(`${name}__${field}`)},`).join('\n')}
} as const;
`,
  );
  const described = (name) => (meanings[name] === undefined ? '' : `/** ${meanings[name]} */\n`);
  const flags = constants.map((name) => `${described(name)}export const ${name} = ${value(name)};\n`);
  return `${banner}\n${blocks.join('\n')}\n${flags.join('')}`;
}
