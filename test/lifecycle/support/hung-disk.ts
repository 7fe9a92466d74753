// A file system that hangs, mounted for a test: the daemon is hung-fuse.c.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export type HungMode = 'unread' | 'unanswered' | 'held';

export interface HungDisk {
  /** Its number among the connections. */
  device: string;
  /** Where it is mounted. Nothing below it may be touched by the test itself. */
  path: string;
  /** Resolves when the daemon has read so many requests, all or those of one kind (FUSE_OPEN is 14). */
  requests(count: number, opcode?: number): Promise<void>;
  /** Where it is `held` or `stored`: resolves when no request is read any more. */
  stalled(): Promise<void>;
  /** Where it is `held`: answers the open of its file "late", and from then on nothing. */
  answerOpen(): void;
  /** Ends the connection as an administrator would, through its abort file: calls that wait fail with an error. */
  abort(): Promise<void>;
}

const kConnections = '/sys/fs/fuse/connections';

/** Mounts a disk. Returns null, and prints the reason on stderr, where the machine does not allow it. */
export async function mountHungDisk(
  program: string,
  mode: HungMode | 'stored',
  ...more: string[]
): Promise<HungDisk | null> {
  const folder = mkdtempSync(join(tmpdir(), 'acall-hung-'));
  const daemon = spawn(program, [folder, mode, ...more], { stdio: ['pipe', 'pipe', 'inherit'] });
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
    device,
    path: folder,
    async requests(count, opcode) {
      const wanted = opcode === undefined ? /^request /gm : new RegExp(`^request ${opcode}$`, 'gm');
      while ((text.match(wanted) ?? []).length < count) await changed();
    },
    async stalled() {
      while (!/^stalled$/m.test(text) && daemon.exitCode === null) await changed();
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

export interface StalledDisk {
  /** Where the file system is mounted. */
  path: string;
  /** From now on its disk does not answer. */
  stall(): Promise<void>;
  /** Lets the disk answer everything with an error, and unmounts it. Only calls that hang may still use it. */
  free(): Promise<void>;
}

const quiet = (command: string, args: string[]) => spawnSync(command, args, { encoding: 'utf8', timeout: 20_000 });

/**
 * Mounts a file system of this machine's kernel on a loop device over a disk that can be stalled, with the files of a
 * folder in it; null where the machine does not allow it.
 */
export async function mountStalledDisk(program: string, files: string): Promise<StalledDisk | null> {
  const folder = mkdtempSync(join(tmpdir(), 'acall-stalled-'));
  const [image, path] = [join(folder, 'image'), join(folder, 'mount')];
  mkdirSync(path);
  writeFileSync(image, '');
  truncateSync(image, 64 << 20);
  const made = quiet('mkfs.ext4', ['-q', '-F', '-b', '1024', '-O', '^has_journal', '-d', files, image]);
  const store = made.status === 0 ? await mountHungDisk(program, 'stored', image) : null;
  const mounted =
    store !== null && quiet('mount', ['-t', 'ext4', '-o', 'loop', join(store.path, 'file'), path]).status === 0;
  const free = async () => {
    // The errors come first: they end calls that wait for the disk, and free the loop device.
    if (store !== null) abortConnection(store.device, null);
    if (mounted && quiet('umount', [path]).status !== 0) quiet('umount', ['-l', path]);
    await store?.abort();
    rmSync(folder, { recursive: true, force: true });
  };
  if (!mounted) {
    await free();
    return null;
  }
  const stall = () => {
    store.answerOpen();
    return store.stalled();
  };
  return { path, stall, free };
}

function abortConnection(device: string, daemon: ChildProcess | null): void {
  if (existsSync(join(kConnections, device))) {
    writeFileSync(join(kConnections, device, 'abort'), '1');
    return;
  }
  const control = mkdtempSync(join(tmpdir(), 'acall-fusectl-'));
  if (spawnSync('mount', ['-t', 'fusectl', 'none', control]).status === 0) {
    if (readdirSync(control).includes(device)) writeFileSync(join(control, device, 'abort'), '1');
    spawnSync('umount', [control]);
  } else {
    daemon?.kill('SIGKILL'); // its descriptor is the connection
  }
  rmSync(control, { recursive: true, force: true });
}
