// A TypeScript program that depends on the package. It is compiled for each module system, and not run.
import {
  ACALL_SUBMIT_THREAD_POOL,
  AcallCompletionRing,
  AcallSubmission,
  Arena,
  acall_submit,
  constants,
  du,
  SYS,
  stat,
  statMany,
  syscall,
  walk,
} from 'acall';

export async function main(): Promise<number> {
  const arena = new Arena(65536);
  const ring = new AcallCompletionRing(arena, 8);
  const submission = new AcallSubmission(arena);
  submission.nr = SYS.getppid;
  submission.flags = ACALL_SUBMIT_THREAD_POOL;
  submission.cookie = 1n;
  submission.completion_ring_pointer = ring.address;
  const accepted: number = acall_submit([submission], 1);
  await ring.wait({ min: 1, timeout: 1000 });
  ring.drain((cookie: bigint, return_code: bigint) => console.log(cookie, return_code));

  const fd: number = await syscall('openat', [constants.AT_FDCWD, '/etc/hostname', constants.O_RDONLY, 0]);
  // @ts-expect-error there is no such system call
  await syscall('opanat', []);

  const { size } = await stat('/etc/hostname', { signal: AbortSignal.timeout(1000) });
  const many = await statMany(['/etc/hostname']);
  for await (const entry of walk('/etc', { maxDepth: 1 })) console.log(entry.path, entry.isFile());
  const { bytes } = await du('/etc', { apparentSize: true });
  return accepted + fd + size + many.length + bytes;
}
