// A file system that hangs, mounted for a test: the daemon is hung-fuse.c.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export type HungMode = 'unread' | 'unanswered' | 'held';

export interface HungDisk {
  /** Where it is mounted. Nothing below it may be touched by the test itself. */
  path: string;
  /** Resolves when the daemon has read so many requests, all or those of one kind (FUSE_OPEN is 14). */
  requests(count: number, opcode?: number): Promise<void>;
  /** Where it is `held`: answers the open of its file "late", and from then on nothing. */
  answerOpen(): void;
  /** Ends the connection as an administrator would, through its abort file: whatever waits comes back with an error. */
  abort(): Promise<void>;
}

const kConnections = '/sys/fs/fuse/connections';

/** Mounts a disk; null, and why on stderr, where the machine does not allow it. */
export async function mountHungDisk(program: string, mode: HungMode): Promise<HungDisk | null> {
  const folder = mkdtempSync(join(tmpdir(), 'acall-hung-'));
  const daemon = spawn(program, [folder, mode], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise<void>((resolve) => daemon.on('exit', () => resolve()));
  let text = '';
  let wake = (): void => {};
  daemon.stdout.setEncoding('utf8').on('data', (more: string) => {
    text += more;
    wake();
  });
  void ended.then(() => wake());
  const changed = () => new Promise<void>((resolve) => (wake = resolve));
  while (!text.includes('\n') && daemon.exitCode === null) await changed();
  const device = /^mounted (\d+)/.exec(text)?.[1];
  if (device === undefined) {
    rmSync(folder, { recursive: true, force: true });
    return null;
  }
  return {
    path: folder,
    async requests(count, opcode) {
      const wanted = opcode === undefined ? /^request /gm : new RegExp(`^request ${opcode}$`, 'gm');
      while ((text.match(wanted) ?? []).length < count) await changed();
    },
    answerOpen() {
      daemon.stdin.write('\n');
    },
    async abort() {
      abortConnection(device, daemon);
      daemon.stdin.end();
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function abortConnection(device: string, daemon: ChildProcess): void {
  if (existsSync(join(kConnections, device))) {
    writeFileSync(join(kConnections, device, 'abort'), '1');
    return;
  }
  const control = mkdtempSync(join(tmpdir(), 'acall-fusectl-'));
  if (spawnSync('mount', ['-t', 'fusectl', 'none', control]).status === 0) {
    if (readdirSync(control).includes(device)) writeFileSync(join(control, device, 'abort'), '1');
    spawnSync('umount', [control]);
  } else {
    daemon.kill('SIGKILL'); // its descriptor is the connection
  }
  rmSync(control, { recursive: true, force: true });
}
