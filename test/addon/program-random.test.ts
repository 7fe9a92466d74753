// Random programs against the same statements in JavaScript: variables, conditions, branches, loops, early ends.
import { type Condition, Program, type ProgramValue, type ProgramVariable } from 'acall/syslet';
import { describe, expect, it } from 'vitest';

describe('random programs', () => {
  // A generator that is the same in every run.
  let state = 12345n;
  const below = (limit: number) => {
    state = (state * 6364136223846793005n + 1442695040888963407n) & (2n ** 64n - 1n);
    return Number((state >> 33n) % BigInt(limit));
  };
  const wrap = (value: bigint) => BigInt.asIntN(64, value);

  class Left extends Error {}

  it('compute what the same statements compute in JavaScript', async () => {
    for (let round = 0; round < 150; round++) {
      const inputs = { a: below(7) - 3, b: below(200) - 100 };
      const model: bigint[] = [];
      const program = new Program({ a: 'number', b: 'number' }, (p, { a, b }) => {
        const variables: ProgramVariable[] = [];
        for (let i = 0; i < 4; i++) {
          model.push(BigInt(i));
          variables.push(p.variable(i));
        }
        type Both = [ProgramValue | number, () => bigint];
        const operand = (): Both => {
          const i = below(7);
          if (i === 4) return [a, () => BigInt(inputs.a)];
          if (i === 5) return [b, () => BigInt(inputs.b)];
          if (i === 6) {
            const constant = below(20) - 10;
            return [constant, () => BigInt(constant)];
          }
          return [variables[i]!, () => model[i]!];
        };
        const condition = (): [Condition, () => boolean] => {
          const i = below(4);
          const v = variables[i]!;
          const [other, value] = operand();
          const x = () => model[i]!;
          switch (below(12)) {
            case 0:
              return [v.isZero(), () => x() === 0n];
            case 1:
              return [v.isNonZero(), () => x() !== 0n];
            case 2:
              return [v.isNegative(), () => x() < 0n];
            case 3:
              return [v.isNonNegative(), () => x() >= 0n];
            case 4:
              return [v.isPositive(), () => x() > 0n];
            case 5:
              return [v.isNonPositive(), () => x() <= 0n];
            case 6:
              return [v.equals(other), () => x() === value()];
            case 7:
              return [v.differsFrom(other), () => x() !== value()];
            case 8:
              return [v.isLessThan(other), () => x() < value()];
            case 9:
              return [v.isAtMost(other), () => x() <= value()];
            case 10:
              return [v.isGreaterThan(other), () => x() > value()];
            default:
              return [v.isAtLeast(other), () => x() >= value()];
          }
        };
        /** Adds a statement; what it returns does the same to the model. */
        const statement = (depth: number): (() => void) => {
          const i = below(4);
          const [value, read] = operand();
          switch (below(depth > 2 ? 3 : 7)) {
            case 0:
              p.set(variables[i]!, value);
              return () => (model[i] = read());
            case 1:
              p.add(variables[i]!, value);
              return () => (model[i] = wrap(model[i]! + read()));
            case 2:
              p.subtract(variables[i]!, value);
              return () => (model[i] = wrap(model[i]! - read()));
            case 3:
            case 4: {
              const [test, holds] = condition();
              let then: () => void = () => {};
              let otherwise: () => void = () => {};
              if (below(2)) {
                p.if(
                  test,
                  () => (then = block(depth + 1)),
                  () => (otherwise = block(depth + 1)),
                );
              } else p.if(test, () => (then = block(depth + 1)));
              return () => (holds() ? then() : otherwise());
            }
            default: {
              const times = below(5);
              let body: () => void = () => {};
              let leaves: () => boolean = () => false;
              p.repeat(times, (loop) => {
                body = block(depth + 1);
                const [test, holds] = condition();
                leaves = holds;
                loop.break(test);
                p.add(variables[0]!, 1);
              });
              return () => {
                for (let n = 0; n < times; n++) {
                  body();
                  if (leaves()) break;
                  model[0] = wrap(model[0]! + 1n);
                }
              };
            }
          }
        };
        const block = (depth: number): (() => void) => {
          const statements = Array.from({ length: 1 + below(4) }, () => statement(depth));
          return () => {
            for (const each of statements) each();
          };
        };
        const first = block(0);
        const [test, holds] = condition();
        p.finish(test);
        const second = block(0);
        runModel = () => {
          first();
          if (holds()) throw new Left();
          second();
        };
        return Object.fromEntries(variables.map((v, i) => [`v${i}`, v.asBigInt()]));
      });
      try {
        runModel();
      } catch (error) {
        if (!(error instanceof Left)) throw error;
      }
      const { values } = await program.run(inputs);
      expect(Object.values(values)).toEqual(model);
    }
  });
  let runModel: () => void;
});
