/* Runs the differential test in a process of its own: vitest has its own way of writing stacks, and a user is changed for good. */
import { execFile } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ModuleKind, ScriptTarget, transpileModule } from 'typescript';

/** Whether another user may make files where temporary ones belong. */
export const kTmpIsOpen = (fs.statSync(tmpdir()).mode & 0o003) === 0o003;

export interface LikeNode {
  readonly seed: number;
  readonly calls: number;
  /** Milliseconds after which no new call is made. */
  readonly ms?: number;
  /** Who makes them. */
  readonly user?: number;
}

/** What the process has said: how many calls were alike, or the first that was not. */
export function likeNode({ seed, calls, ms, user }: LikeNode): Promise<string> {
  const options = { module: ModuleKind.CommonJS, target: ScriptTarget.ES2022 };
  const { outputText } = transpileModule(fs.readFileSync(join(__dirname, 'like-node.ts'), 'utf8'), {
    compilerOptions: options,
  });
  const script = `${outputText}\nmain(${JSON.stringify({ seed, calls, ms, user })});`;
  return new Promise((resolve, reject) => {
    const child = execFile(
      process.execPath,
      ['-e', script],
      { cwd: join(__dirname, '../..'), maxBuffer: 1 << 26 },
      (error, stdout, stderr) => (stdout === '' ? reject(error ?? new Error(stderr)) : resolve(stdout)),
    );
    child.stderr?.pipe(process.stderr);
  });
}
