import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What lib/generated/wire.ts says, in its order: 'CallRecord.slot' -> 2. The kernel's errors are left out. */
export function wireValues(): Map<string, number> {
  const text = readFileSync(join(__dirname, '../../lib/generated/wire.ts'), 'utf8');
  const values = new Map<string, number>();
  for (const [, name, body] of text.matchAll(/export const enum (\w+) \{([^}]*)\}/g)) {
    if (name === 'Errno') continue;
    for (const [, member, value] of body!.matchAll(/(\w+) = (-?\d+),/g)) values.set(`${name}.${member}`, Number(value));
  }
  return values;
}
