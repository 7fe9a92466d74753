/** Readers of the generated tables, and of what they are compared with. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import {
  ArgFlag,
  ArgKind,
  CallFlag,
  Place,
  type RuleData,
  type SignatureData,
} from '../../../dist/generated/syscalls.js';
import { signatures as arm64Text } from '../../../dist/generated/syscalls-arm64.js';
import { signatures as x64Text } from '../../../dist/generated/syscalls-x64.js';

export const root = resolve(__dirname, '../../..');
export type Arch = 'x64' | 'arm64';
export const architectures: readonly Arch[] = ['x64', 'arm64'];

export const data: Record<Arch, SignatureData> = { x64: JSON.parse(x64Text), arm64: JSON.parse(arm64Text) };

/** number -> name of the table that is compiled into the addon, read from its text. */
export function nativeNumbers(arch: Arch): Map<number, string> {
  const text = readFileSync(join(root, `native/core/generated/policy_table_${arch}.inc`), 'utf8');
  const blob = [...text.matchAll(/^ {4}"(\w+)\\0"$/gm)].map(([, name]) => name!);
  const nameAt = new Map<number, string>();
  let offset = 0;
  for (const name of blob) {
    nameAt.set(offset, name);
    offset += name.length + 1;
  }
  const rules = /kSyscallRules\[\] = \{\n([\s\S]*?)\n\};/.exec(text)![1]!.split('\n');
  const numbers = new Map<number, string>();
  for (const [number, line] of rules.entries()) {
    const rule = /^ {4}\{(\d+), /.exec(line);
    if (rule) numbers.set(number, nameAt.get(Number(rule[1]))!);
  }
  return numbers;
}

/** name -> number, or undefined where the running architecture has no such call. */
export const numbersOf = (arch: Arch) => new Map([...nativeNumbers(arch)].map(([number, name]) => [name, number]));

const kindNames = Object.fromEntries(Object.entries(ArgKind).map(([name, value]) => [value, name]));
const placeNames = Object.fromEntries(Object.entries(Place).map(([name, value]) => [value, name]));

/** One rule as text: `fd:fd buf:out bytes(count*1) count:long`. */
export function describeArgs([, , args]: RuleData): string {
  return args
    .map(([name, kind = 0, flags = 0, length = 0, extra = 0, size = 0]) => {
      if (kind < ArgKind.path) return `${name}:${kindNames[kind]}`;
      const direction = `${flags & ArgFlag.in ? 'in' : ''}${flags & ArgFlag.out ? 'out' : ''}`;
      const more = [
        flags & ArgFlag.copied ? ' copied' : '',
        flags & ArgFlag.holdsFds ? ' fds' : '',
        flags & ArgFlag.timeout ? ' timeout' : '',
      ].join('');
      const counted: readonly number[] = [
        ArgKind.bytes,
        ArgKind.bits,
        ArgKind.pages,
        ArgKind.lenBytes,
        ArgKind.iovec,
        ArgKind.sigset,
      ];
      const extent = counted.includes(kind) ? `(${extra ? `${extra}+` : ''}${args[length]![0]}*${size})` : `(${size})`;
      return `${name}:${direction} ${kindNames[kind]}${extent}${more}`;
    })
    .join(' ');
}

export const placeOf = (rule: RuleData) => placeNames[rule[0]]!;
export const has = (rule: RuleData, flag: keyof typeof CallFlag) => (rule[1] & CallFlag[flag]) !== 0;

/** The rule that holds when the deciding arguments (by index) have these values. */
export function resolveRule(arch: Arch, name: string, values: Record<number, number> = {}): RuleData {
  const { calls, variants, selectors } = data[arch];
  let rule = calls[name]!;
  while (rule[3]) {
    const [arg, mask, cases] = selectors[rule[3]]!;
    const value = ((values[arg] ?? 0) & mask) >>> 0;
    const found = cases.find(([low, high]) => low <= value && value <= high);
    if (!found) break;
    rule = variants[found[2]]!;
  }
  return rule;
}

/** Every rule of a table, variants included. */
export const allRules = (arch: Arch): readonly (readonly [string, RuleData])[] => [
  ...Object.entries(data[arch].calls),
  ...data[arch].variants.map((rule, index) => [`variant ${index}`, rule] as const),
];
