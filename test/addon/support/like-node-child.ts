/* Runs the differential test in a process of its own, because vitest changes stacks and because a change of the user is for ever. */
import { execFile } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ModuleKind, ScriptTarget, transpileModule } from 'typescript';

/** Whether another user can reach a folder in the folder for temporary files: no folder above is closed to others. */
export const kTmpIsOpen = (() => {
  for (let folder = fs.realpathSync(tmpdir()); ; folder = dirname(folder)) {
    if ((fs.statSync(folder).mode & 0o001) === 0) return false;
    if (folder === '/') return true;
  }
})();

export interface LikeNode {
  readonly seed: number;
  readonly calls: number;
  /** Milliseconds after which no new call is made. */
  readonly ms?: number;
  /** Who makes them. */
  readonly user?: number;
}

/** The output of the process: how many calls were alike, or the first call that was not. */
export function likeNode({ seed, calls, ms, user }: LikeNode): Promise<string> {
  const options = { module: ModuleKind.CommonJS, target: ScriptTarget.ES2022 };
  const { outputText } = transpileModule(fs.readFileSync(join(__dirname, '../programs/like-node.ts'), 'utf8'), {
    compilerOptions: options,
  });
  const script = `${outputText}\nmain(${JSON.stringify({ seed, calls, ms, user })});`;
  // Of his own, where TMPDIR lets only its owner make files.
  const home = fs.mkdtempSync(join(tmpdir(), 'acall-like-'));
  if (user !== undefined) fs.chownSync(home, user, user);
  const ended = new Promise<string>((resolve, reject) => {
    const child = execFile(
      process.execPath,
      ['-e', script],
      { cwd: join(__dirname, '../../..'), maxBuffer: 1 << 26, env: { ...process.env, TMPDIR: home } },
      (error, stdout, stderr) => (stdout === '' ? reject(error ?? new Error(stderr)) : resolve(stdout)),
    );
    child.stderr?.pipe(process.stderr);
  });
  return ended.finally(() => fs.rmSync(home, { recursive: true, force: true }));
}
