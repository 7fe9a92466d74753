/** Layout of the structs in native/core/abi.h and the constants beside them, for lib/generated/layout.ts. */
import { banner } from './emit-syscalls.mjs';

const camelCase = (name) => name.replace(/_pointer/g, 'Pointer').replace(/_(\w)/g, (_, letter) => letter.toUpperCase());

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
  const flags = constants.map((name) => `export const ${name} = ${value(name)};\n`);
  return `${banner}\n${blocks.join('\n')}\n${flags.join('')}`;
}
