import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { native } from '../../dist/native.js';
import { wireValues } from '../support/wire.ts';

describe('the private formats', () => {
  it('are the same to the addon and to lib/', () => {
    const expected = [...wireValues()];
    const reported = native.wire();
    expect(expected.length).toBeGreaterThan(200);
    expect(expected.map(([name], index) => [name, reported[index]])).toEqual(expected);
    expect(reported.length).toBe(expected.length);
  });
});

describe('the functions of the addon', () => {
  const lib = join(__dirname, '../../lib');
  const declared = readFileSync(join(lib, 'native.ts'), 'utf8').match(/^export interface Native \{\n(.*?)^\}/ms)![1]!;
  const names = [...declared.matchAll(/^ {2}(\w+)\(/gm)].map(([, name]) => name!).sort();

  it('are those that lib/native.ts declares', () => {
    expect(names.length).toBeGreaterThan(50);
    expect(Object.keys(native).sort()).toEqual(names);
    expect(Object.values(native).filter((value) => typeof value !== 'function')).toEqual([]);
  });

  it('are called by lib/, but for what reports the private formats', () => {
    const called = new Set(
      readdirSync(lib, { recursive: true, encoding: 'utf8' })
        .filter((file) => file.endsWith('.ts'))
        .flatMap((file) => [...readFileSync(join(lib, file), 'utf8').matchAll(/\bnative\.(\w+)/g)])
        .map(([, name]) => name!),
    );
    expect(names.filter((name) => !called.has(name))).toEqual(['wire']);
  });

  it('throw a TypeError at the first argument of another type', () => {
    const failures = [
      () => native.submit({} as Uint8Array, 1),
      () => native.submit(new Uint8Array(88), '1' as unknown as number),
      () => native.execProgram(1 as unknown as bigint, 0n, 0n),
      () => native.holdLoop(1 as unknown as boolean),
      () => native.ringAvailable({} as Parameters<typeof native.ringAvailable>[0]),
      () => native.walkBegin(null as unknown as string, 0, 0),
      () => native.walkBegin('/\0', 0, 0),
      () => native.cancel(new Uint8Array(15)),
      () => native.submit(new Uint8Array(87), 1),
      () => native.release((2 ** 30) as Parameters<typeof native.release>[0]),
    ].map((call) => {
      try {
        return call();
      } catch (error) {
        return `${(error as Error).name} ${(error as NodeJS.ErrnoException).code}`;
      }
    });
    const wrongType = 'TypeError ERR_INVALID_ARG_TYPE';
    const outOfRange = 'RangeError ERR_OUT_OF_RANGE';
    expect(failures).toEqual([
      ...Array(6).fill(wrongType),
      'Error ERR_INVALID_ARG_VALUE',
      ...Array(3).fill(outOfRange),
    ]);
  });
});
