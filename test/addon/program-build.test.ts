// What Program refuses: calls, arguments, values of other programs, inputs.
import { type Condition, Program, type ProgramBuilder, type ProgramValue, type ProgramVariable } from 'acall/syslet';
import { describe, expect, it } from 'vitest';

const code = (expected: string) => expect.objectContaining({ code: expected });

describe('building', () => {
  const build = (body: (p: ProgramBuilder) => unknown) => () => new Program({}, body as () => void);

  it('refuses calls that may not be part of a program', () => {
    expect(build((p) => p.call('exit_group', [0]))).toThrow(expect.objectContaining({ code: 'EPERM', refused: true }));
    expect(build((p) => p.call('setuid', [0]))).toThrow(expect.objectContaining({ code: 'EPERM', refused: true }));
    expect(build((p) => p.call('munmap', [0, 0]))).toThrow(expect.objectContaining({ code: 'EPERM', refused: true }));
    expect(build((p) => p.call('pipe2', [p.bytes(8), 0] as never))).toThrow(code('ERR_INVALID_ARG_VALUE'));
    expect(build((p) => p.call('nope' as 'read', [0, null, 0]))).toThrow(code('ERR_INVALID_ARG_VALUE'));
  });

  it('refuses every handle as a number and as a text', () => {
    new Program({ text: 'text', texts: 'texts', number: 'number', data: 'data' }, (p, inputs) => {
      const bytes = p.bytes(8);
      const value = p.call('getppid', []);
      const handles: Record<string, unknown> = {
        ...inputs,
        length: inputs.texts.length,
        value,
        variable: p.variable(1),
        descriptor: p.descriptor(),
        bytes,
        first: bytes.first(value),
        wide: value.asBigInt(),
        condition: value.isZero(),
      };
      for (const [name, handle] of Object.entries(handles)) {
        const one = handle as number;
        for (const use of [() => one + 1, () => one * 2, () => one < 3, () => +one, () => `${one}`]) {
          expect(use, `${name}: ${use}`).toThrow(code('ERR_INVALID_ARG_TYPE'));
          expect(use).toThrow(/^A Program\w+|^A \w+Result|^A Condition/);
        }
      }
    });
  });

  it("refuses what is no value, body, text, option or list, whatever it is, and says so in Node's manner", () => {
    const revoked = () => {
      const { proxy, revoke } = Proxy.revocable({}, {});
      revoke();
      return proxy;
    };
    const revokedFunction = () => {
      const { proxy, revoke } = Proxy.revocable(() => {}, {});
      revoke();
      return proxy;
    };
    const hostile = {
      get constructor() {
        throw new Error('mine');
      },
      [Symbol.for('nodejs.util.inspect.custom')]() {
        throw new Error('mine');
      },
    };
    const garbage = [undefined, 5, 'text', Symbol('x'), {}, [], revoked(), hostile] as never[];
    const steps: [string, (p: ProgramBuilder, wrong: never) => void][] = [
      ['loop', (p, wrong) => p.loop(wrong)],
      ['repeat', (p, wrong) => p.repeat(1, wrong)],
      ['each', (p, wrong) => p.each(wrong, () => {})],
      ['if', (p, wrong) => p.if(wrong, () => {})],
      ['then', (p, wrong) => p.if(p.variable(1).isZero(), wrong)],
      ['finally', (p, wrong) => p.finally(wrong)],
      ['undo', (p, wrong) => p.undo(wrong)],
      ['set', (p, wrong) => p.set(p.variable(), wrong === (5 as never) ? (true as never) : wrong)],
      ['variable to set', (p, wrong) => p.set(wrong, 1)],
      ['close', (p, wrong) => p.close(wrong)],
      ['move', (p, wrong) => p.move(wrong, wrong)],
      ['load', (p, wrong) => p.load(wrong, 0)],
      ['fail', (p, wrong) => p.fail(wrong)],
      ['name of a call', (p, wrong) => void p.call(wrong, [] as never)],
      ['argument', (p, wrong) => void p.call('close', [wrong === (5 as never) ? (true as never) : wrong])],
      ['stopOn', (p, wrong) => void p.call('getppid', [], { stopOn: wrong === ([] as never) ? (5 as never) : wrong })],
    ];
    for (const [name, step] of steps) {
      for (const wrong of garbage) {
        if (name === 'stopOn' && (wrong === undefined || Array.isArray(wrong === garbage[6] ? 0 : wrong))) continue;
        const attempt = build((p) => step(p, wrong));
        expect(attempt, `${name} ${typeof wrong}`).toThrow(
          expect.objectContaining({ code: expect.stringMatching(/^ERR_(INVALID_ARG_(TYPE|VALUE)|OUT_OF_RANGE)$/) }),
        );
      }
    }
    expect(build((p) => p.loop(revokedFunction() as never))).toThrow(TypeError); // a function, for all anybody can see
    for (const wrong of [undefined, null] as never[]) {
      expect(build((p) => p.call('dup2', [0, wrong]))).toThrow(code('ERR_INVALID_ARG_TYPE'));
    }
    expect(build((p) => p.call('close', [] as never))).toThrow(code('ERR_INVALID_ARG_VALUE'));
    expect(build((p) => p.call('close', revoked() as never))).toThrow(code('ERR_INVALID_ARG_TYPE'));
  });

  it('refuses arguments that make no sense', () => {
    expect(build((p) => p.call('read', ['x', null, 0] as never))).toThrow(code('ERR_INVALID_ARG_TYPE'));
    expect(build((p) => p.call('read', [0, Buffer.alloc(8), 8]))).toThrow(code('ERR_INVALID_ARG_TYPE'));
    expect(build((p) => p.call('read', [0, 'text', 8] as never))).toThrow(code('ERR_INVALID_ARG_TYPE'));
    expect(build((p) => p.call('read', [p.bytes(8), null, 8] as never))).toThrow(code('ERR_INVALID_ARG_TYPE'));
    expect(build((p) => p.call('read', [0, null, 1.5]))).toThrow(code('ERR_OUT_OF_RANGE'));
    expect(build((p) => p.call('close', [1, 2] as never))).toThrow(code('ERR_INVALID_ARG_VALUE'));
    expect(build((p) => p.call('unlinkat', [0, 'a\0b', 0]))).toThrow(code('ERR_INVALID_ARG_VALUE'));
    expect(build((p) => p.call('close', [1], { allow: 'ENOPE' }))).toThrow(code('ERR_INVALID_ARG_VALUE'));
    expect(build((p) => p.call('close', [1], { stopOn: 'often' as 'zero' }))).toThrow(code('ERR_INVALID_ARG_VALUE'));
    expect(build((p) => p.call('close', [1], { into: p.descriptor() }))).toThrow(code('ERR_INVALID_ARG_VALUE'));
    expect(build((p) => p.bytes(0))).toThrow(code('ERR_OUT_OF_RANGE'));
    expect(build((p) => p.load(p.bytes(8), 1))).toThrow(code('ERR_OUT_OF_RANGE'));
    expect(build((p) => p.if({} as Condition, () => {}))).toThrow(code('ERR_INVALID_ARG_TYPE'));
    expect(build((p) => p.set({} as ProgramVariable, 1))).toThrow(code('ERR_INVALID_ARG_TYPE'));
    expect(build((p) => p.fail('ENOPE'))).toThrow(code('ERR_INVALID_ARG_VALUE'));
    expect(build((p) => p.fail('EIO', 5 as never))).toThrow(code('ERR_INVALID_ARG_TYPE'));
    expect(() => new Program({ x: 'string' as 'text' }, () => {})).toThrow(code('ERR_INVALID_ARG_VALUE'));
    expect(() => new Program({}, undefined as never)).toThrow(code('ERR_INVALID_ARG_TYPE'));
    expect(() => new Program({}, () => {}, { maxSteps: 0 })).toThrow(code('ERR_OUT_OF_RANGE'));
  });

  it('refuses values that a run may not have, and those of other programs', () => {
    const inside = build((p) => {
      let result: ProgramValue | undefined;
      p.if(p.variable(1).isZero(), () => {
        result = p.call('getpid', []);
      });
      return { result };
    });
    expect(inside).toThrow(code('ERR_INVALID_ARG_VALUE'));
    expect(build(() => ({ x: 5 }))).toThrow(code('ERR_INVALID_ARG_TYPE'));
    let stranger: ProgramVariable | undefined;
    let late: ProgramBuilder | undefined;
    build((p) => {
      stranger = p.variable(0);
      late = p;
    })();
    expect(build((p) => p.call('close', [stranger!]))).toThrow(code('ERR_INVALID_ARG_TYPE'));
    expect(build((p) => p.add(p.variable(0), stranger!))).toThrow(code('ERR_INVALID_ARG_TYPE'));
    expect(() => late!.call('getpid', [])).toThrow(code('ERR_INVALID_ARG_VALUE'));
  });

  it('refuses inputs that are missing, unknown or of another kind', async () => {
    const program = new Program({ text: 'text', number: 'number', texts: 'texts', data: 'data' }, () => {});
    const good = { text: 'a', number: 1, texts: ['b'], data: new Uint8Array(2) };
    expect((await program.run(good)).done).toBe(true);
    for (const [bad, expected] of [
      [{ text: 5 }, 'ERR_INVALID_ARG_TYPE'],
      [{ text: 'a\0' }, 'ERR_INVALID_ARG_VALUE'],
      [{ number: 'x' }, 'ERR_INVALID_ARG_TYPE'],
      [{ number: 0.5 }, 'ERR_OUT_OF_RANGE'],
      [{ texts: 'b' }, 'ERR_INVALID_ARG_TYPE'],
      [{ texts: [1] }, 'ERR_INVALID_ARG_TYPE'],
      [{ data: 'x' }, 'ERR_INVALID_ARG_TYPE'],
      [{ other: 1 }, 'ERR_INVALID_ARG_VALUE'],
    ] as const) {
      await expect(program.run({ ...good, ...bad } as never)).rejects.toEqual(code(expected));
      await expect(program.runMany([good, { ...good, ...bad } as never])).rejects.toEqual(code(expected));
    }
    for (const wrong of [undefined, null, 5, {}, Symbol('x'), Proxy.revocable({}, {})] as unknown[]) {
      if (wrong !== null && typeof wrong === 'object' && 'revoke' in wrong) (wrong as { revoke(): void }).revoke();
      const given = wrong !== null && typeof wrong === 'object' && 'proxy' in wrong ? wrong.proxy : wrong;
      await expect(program.runMany(given as never)).rejects.toEqual(code('ERR_INVALID_ARG_TYPE'));
    }
    await expect(program.run(undefined as never)).rejects.toEqual(code('ERR_INVALID_ARG_TYPE'));
    await expect(program.run(good, { timeout: -1 })).rejects.toEqual(code('ERR_OUT_OF_RANGE'));
  });
});
