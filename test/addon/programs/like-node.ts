/*
 * A random differential test: the same call, with the same arguments, is made through node:fs and through acall, each on a tree of its
 * own. The results, every field of an error, and the trees must be equal afterwards. Everything is drawn from a seed.
 */
import { inspect } from 'node:util';
import { drawCall } from '../support/like-node-calls';
import { acallApi, isMeant, mayNotEnd, nodeApi, outcomeOf } from '../support/like-node-outcomes';
import { picture, Trees } from '../support/like-node-trees';
import { Random } from '../support/random';

const kCallMs = 20_000;

/** Makes `count` calls, which `seed` alone determines. Returns the first difference, or undefined. */
async function compare(seed: number, count: number, until = Number.POSITIVE_INFINITY): Promise<string | undefined> {
  const random = new Random(seed);
  const trees = new Trees();
  try {
    for (let i = 0; i < count && performance.now() < until; i++) {
      if (i % 12 === 0) trees.fill(random);
      const call = drawCall(random);
      if (mayNotEnd(call, trees)) continue;
      const told = `seed ${seed}, call ${i}: ${call.name}(${call.args.map((arg) => arg.shown).join(', ')})`;
      const late = setTimeout(() => {
        process.stderr.write(`${told} does not end\n`);
        process.exit(1);
      }, kCallMs);
      const mine = await outcomeOf(call, acallApi, trees);
      const node = await outcomeOf(call, nodeApi, trees);
      clearTimeout(late);
      const alike = inspect(mine, { depth: 9 }) === inspect(node, { depth: 9 });
      if (!alike || isMeant(call, trees, node, mine)) {
        if (!isMeant(call, trees, node, mine)) {
          return `${told}\nnode:fs ${inspect(node, { depth: 9 })}\nacall   ${inspect(mine, { depth: 9 })}`;
        }
        trees.fill(random);
        continue;
      }
      const [hers, ours] = [picture(trees.tops.node), picture(trees.tops.mine)];
      if (hers !== ours) return `${told}\nthe tree of node:fs\n${hers}\nthe tree of acall\n${ours}`;
    }
    return undefined;
  } finally {
    trees.remove();
  }
}

/** What is drawn, for how long, and who makes the calls. */
export interface LikeNode {
  readonly seed: number;
  readonly calls: number;
  /** Milliseconds after which no new call is made. */
  readonly ms?: number | undefined;
  readonly user?: number | undefined;
}

/** Makes pieces of 250 calls, each with a seed that repeats the piece alone. Returns how many were alike, or the first call that was not. */
export async function likeNode({ seed, calls, ms, user }: LikeNode): Promise<string> {
  if (user !== undefined) {
    process.setgroups!([]);
    process.setgid!(user);
    process.setuid!(user);
  }
  const until = ms === undefined ? Number.POSITIVE_INFINITY : performance.now() + ms;
  const kPiece = 250;
  let done = 0;
  for (let piece = 0; done < calls && performance.now() < until; piece++) {
    const count = Math.min(kPiece, calls - done);
    const difference = await compare((seed + piece) % 2 ** 32, count, until);
    if (difference !== undefined) return difference;
    done += count;
  }
  return `${done} calls, all alike`;
}
