/* Runs the differential test in a process of its own, because vitest changes stacks and because a change of the user is for ever. */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { programsOf } from '../../support/programs';
import type { LikeNode } from '../programs/like-node';

const { answerOf } = programsOf<typeof import('../programs/like-node')>(join(__dirname, '../programs/like-node.ts'));

/** Whether another user can reach a folder in the folder for temporary files: no folder above is closed to others. */
export const kTmpIsOpen = (() => {
  for (let folder = fs.realpathSync(tmpdir()); ; folder = dirname(folder)) {
    if ((fs.statSync(folder).mode & 0o001) === 0) return false;
    if (folder === '/') return true;
  }
})();

/** Returns how many calls were alike, or the first call that was not. `timeout`: milliseconds after which the process counts as hung. */
export async function likeNode(options: LikeNode, timeout: number): Promise<string> {
  // Of the user's own, where TMPDIR lets only its owner make files.
  const home = fs.mkdtempSync(join(tmpdir(), 'acall-like-'));
  if (options.user !== undefined) fs.chownSync(home, options.user, options.user);
  try {
    return await answerOf('likeNode', [options], { env: { TMPDIR: home }, timeout });
  } finally {
    fs.rmSync(home, { recursive: true, force: true });
  }
}
