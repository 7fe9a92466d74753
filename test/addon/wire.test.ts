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
