// examples/stuck.mjs shows what it says: node:fs is stuck, we are not.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

it('four stuck opens freeze node:fs and hold its process; here nothing freezes, aborts are prompt, exit is immediate', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [join(__dirname, '../../examples/stuck.mjs')]);
  const [, node, ours] = stdout.split(/^Four opens.*$|^The same.*$/m);
  expect(node).toMatch(/stat\('\/'\) +no answer after 1 s/);
  expect(node).toMatch(/process\.exit\(0\) +still there after 1 s; killed/);
  expect(ours).toMatch(/stat\('\/'\) +\d+\.\d ms/);
  expect(ours).toMatch(/abort +\d+\.\d ms: ABORT_ERR, ABORT_ERR, ABORT_ERR, ABORT_ERR/);
  expect(ours).toMatch(/process\.exit\(0\) +the process ended after \d+\.\d ms/);
});
