// Every raw call and every helper in every state of the engine. The right result is the same in each state, that of an idle engine,
// with two exceptions: EPERM when the engine is restricted, anything but a crash when the environment is closing.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import * as acall from 'acall';
import * as asys from 'acall/asys';
import * as syslet from 'acall/syslet';
import { describe, expect, it } from 'vitest';
import { programsOf, slow } from '../support/programs';

type Programs = typeof import('./programs/fault-matrix.cjs');
const file = join(__dirname, 'programs', 'fault-matrix.cjs');
const { run, answerOf } = programsOf<Programs>(file);
const { rows, sourceOf, sharedSource, states }: Programs = createRequire(__filename)(file);

/** Exports that are no call: classes that rows use, errors, and what has tests of its own. */
const noCalls =
  /^(AbortError|SyscallError|ProgramError|StatBatch|ReadFiles|Walk|AcallCompletion|AcallId|SysletAtom|addressOf|acall_submit_error|restrict)$/;

const names = Object.keys(rows);
const right = Object.fromEntries(Object.entries(rows).map(([name, { right }]) => [name, right]));

/** Rows that never enter the kernel for an op: restrict() and a full queue leave them as they are. */
const opens =
  /submitOne|acall\.(unsafe|syscall|l?stat|fstat|statMany|asyncScope|read|walk|du|write|copy|mkdirp|rmTree|open|flock)|execOne|Program|asys_/;
const local = names.filter((name) => !opens.test(sourceOf(name)));

describe('every call and helper', () => {
  it('has a row', () => {
    const sources = [...names.map(sourceOf), sharedSource];
    const calls = { ...acall, ...syslet, ...asys };
    for (const [name, what] of Object.entries(calls)) {
      if (typeof what !== 'function' || noCalls.test(name)) continue;
      const word = new RegExp(`\\b${name === 'FileHandle' ? 'file\\.write' : name}\\b`);
      expect(
        sources.some((source) => word.test(source)),
        name,
      ).toBe(true);
    }
  });

  it.each(Object.entries(states))('gives the same: %s', async (state, { env = {} }) => {
    const told = await answerOf('inState', [state], { env, timeout: 60_000 * slow });
    expect(told).toEqual(right);
  });

  it('gives the same in another Worker', async () => {
    const told = await answerOf('inWorker', []);
    expect(told).toEqual(right);
  });

  it('is refused when restrict() has taken everything away, but for what makes no call', async () => {
    const told = await answerOf('restricted', []);
    expect(Object.keys(told)).toEqual(names);
    for (const [name, answer] of Object.entries(told)) {
      if (local.includes(name)) expect(answer, name).toEqual(right[name]);
      else if (name === 'statMany') expect(answer).toEqual([0, -1]);
      else if (name === 'async_stat') expect(answer).toEqual([-1, 0]);
      else if (name === 'Program, many runs') expect(JSON.stringify(answer)).toContain('EPERM');
      else if (name === 'readFiles') expect(JSON.stringify(answer)).toContain('EPERM');
      else expect([-1, 'EPERM'], name).toContainEqual(answer);
    }
  });

  it('neither crashes nor blocks while its environment closes', async () => {
    const inMain = await run('whileClosing', []);
    expect({ status: inMain.status, signal: inMain.signal }, inMain.stderr).toEqual({ status: 12, signal: null });
    const codes = await answerOf('whileWorkersClose', []);
    expect(codes).toEqual([12, 12]);
  });
});
