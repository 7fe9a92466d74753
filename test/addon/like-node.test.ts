// A function with the name of one of node:fs takes, refuses and does the same. The calls are drawn from the same seed each time, so
// that only a change of the code can change the result; `npm run soak` draws new calls. ACALL_LIKE_NODE_SEED repeats a failed run.
import { describe, expect, it } from 'vitest';
import { kTmpIsOpen, likeNode } from './support/like-node-child';

const kTimeout = 900_000;
const kIsRoot = process.getuid?.() === 0;

describe('acall and node:fs', () => {
  const seed = Number(process.env.ACALL_LIKE_NODE_SEED ?? 4271753276);

  it(`do the same in 5,000 calls drawn at random (seed ${seed})`, { timeout: kTimeout }, async () => {
    expect(await likeNode({ seed, calls: 5000 }, kTimeout)).toBe('5000 calls, all alike');
  });

  it.skipIf(!kIsRoot || !kTmpIsOpen)(
    `do the same for a user who may not read everything (seed ${seed}; needs root, to become another)`,
    { timeout: kTimeout },
    async () => {
      expect(await likeNode({ seed, calls: 1500, user: 65_534 }, kTimeout)).toBe('1500 calls, all alike');
    },
  );
});
