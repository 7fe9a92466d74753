/**
 * What native/core/wire.h declares, for both sides: lib/generated/wire.ts, where each enum is a `const enum` whose members cost
 * nothing where they are used, and native/core/generated/wire_values.inc, the same values in the same order as expressions,
 * which the compiler of the addon evaluates and the addon reports.
 */
import { banner, wrap } from './emit-syscalls.mjs';

const camelCase = (name) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());
const withoutK = (name) => name.charAt(1).toLowerCase() + name.slice(2);

/** Structures of the kernel that lib/ reads by itself: offsets in bytes. */
const kernelStructs = [
  {
    type: 'statx',
    name: 'Statx',
    fields:
      'stx_blksize stx_nlink stx_uid stx_gid stx_mode stx_ino stx_size stx_blocks stx_atime stx_btime stx_ctime ' +
      'stx_mtime stx_rdev_major stx_rdev_minor stx_dev_major stx_dev_minor',
  },
  { type: 'statx_timestamp', name: 'StatxTimestamp', fields: 'tv_sec tv_nsec' },
];

/** The declarations of wire.h in order: { name, kind, members: [{ name, expression, text }] }. */
function parse(text) {
  const code = text.replace(/\/\/.*$/gm, '').replace(/^\s*#.*$/gm, '');
  const found = [];
  const numbers = [];
  const pattern =
    /constexpr \w+ (k\w+) =|(?:enum class|enum) (\w+) : \w+ \{([^}]*)\};|(?:struct|union) (\w+) \{\s*(?:enum : \w+ \{([^}]*)\};\s*)?([^}]*)\};/g;
  for (const [, constant, enumName, enumBody, record, innerBody, fieldText] of code.matchAll(pattern)) {
    if (constant) {
      numbers.push({ name: withoutK(constant), expression: `acall::${constant}` });
      continue;
    }
    const scope = enumName ?? record;
    const body = enumBody ?? innerBody;
    if (body !== undefined) {
      const members = [...body.matchAll(/(?:^|,)\s*(k\w+)/g)].map(([, member]) => ({
        name: withoutK(member),
        expression: `static_cast<int64_t>(acall::${scope}::${member})`,
      }));
      found.push({ name: scope, comment: `enum ${scope}`, members });
      continue;
    }
    const fields = [...fieldText.matchAll(/^\s*[\w:]+\s+([^;]+);/gm)].flatMap(([, list]) =>
      list.split(',').map((field) => field.trim().match(/^\w+/)[0]),
    );
    if (fields.length === 0) throw new Error(`wire.h: no fields in ${record}`);
    const unit = (field) => `alignof(std::remove_all_extents_t<decltype(acall::${record}::${field})>)`;
    const size = (name, bytes) => ({
      name,
      expression: `sizeof(acall::${record}) / ${bytes}`,
      isWhole: `sizeof(acall::${record}) % ${bytes} == 0`,
    });
    found.push({
      name: record,
      comment: `struct ${record}: sizes, and the place of each field in an array of its own width`,
      members: [
        size('sizeInBytes', 1),
        size('sizeInWords', 4),
        size('sizeInDoubles', 8),
        ...fields.map((field) => ({
          name: camelCase(field),
          expression: `offsetof(acall::${record}, ${field}) / ${unit(field)}`,
        })),
      ],
    });
  }
  const ofKernel = kernelStructs.map(({ type, name, fields }) => ({
    name,
    comment: `The kernel's struct ${type}: size and offsets in bytes`,
    members: [
      { name: 'size', expression: `sizeof(struct ${type})` },
      ...fields.split(' ').map((field) => ({ name: field, expression: `offsetof(struct ${type}, ${field})` })),
    ],
  }));
  return [{ name: 'Wire', comment: 'Single numbers', members: numbers }, ...found, ...ofKernel];
}

/** The texts of both files. `errors`: numbers of the kernel's errors by name. */
export function emitWire(compilers, wirePath, wireText, errors) {
  const prologue = `#include <type_traits>\n#include <linux/stat.h>\n#include "${wirePath}"`;
  let enums = parse(wireText);
  const expressions = enums.flatMap(({ name, members }) =>
    members.flatMap((member) => [
      [`${name}__${member.name}`, member.expression],
      ...(member.isWhole ? [[`${name}__${member.name}__whole`, `(${member.isWhole}) ? 1 : 0`]] : []),
    ]),
  );
  const [values, ...others] = compilers.map((compiler) => compiler.evaluate(prologue, expressions));
  for (const [name] of expressions) {
    if (!values.has(name)) throw new Error(`wire.h: ${name} has no value`);
    if (others.some((other) => other.get(name) !== values.get(name))) {
      throw new Error(`wire.h: ${name} differs between the architectures`);
    }
  }
  enums = enums.map(({ name, comment, members }) => ({
    name,
    comment,
    members: members.filter((member) => !member.isWhole || values.get(`${name}__${member.name}__whole`) === 1n),
  }));
  const blocks = enums.map(
    ({ name, comment, members }) => `/** ${comment}. */
export const enum ${name} {
${members.map((member) => `  ${member.name} = ${values.get(`${name}__${member.name}`)},`).join('\n')}
}
`,
  );
  const errnos = `/** Positive error numbers: a result is -Errno.ENOENT. */
export const enum Errno {
${wrap(
  [...errors].sort((a, b) => a[1] - b[1]).map(([name, number]) => `${name} = ${number}`),
  ', ',
)},
}
`;
  const native = enums.flatMap(({ name, members }) => [
    `    // ${name}`,
    ...members.map(({ expression }) => `    static_cast<double>(${expression}),`),
  ]);
  return {
    typescript: `${banner}\n${blocks.join('\n')}\n${errnos}`,
    native: [
      '// Generated by scripts/generate.mjs from wire.h: its values in the order of lib/generated/wire.ts. Do not edit.',
      '// clang-format off',
      '// NOLINTBEGIN(bugprone-integer-division): by the size of a word, which leaves nothing',
      'constexpr double kWireValues[] = {',
      ...native,
      '};',
      '// NOLINTEND(bugprone-integer-division)',
      '// clang-format on',
      '',
    ].join('\n'),
  };
}
