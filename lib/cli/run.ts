/* acall run [--timeout 2s] NAME ARGS..., and acall sys: a call that a time-out or Ctrl-C cancels. */
import { AbortError } from '../errors';
import { complain, Exit, kInterrupted } from './output';
import { type SysCommandOptions, sysCommand } from './sys';

interface RunCommandOptions extends Omit<SysCommandOptions, 'signal'> {
  /** Milliseconds. */
  timeout?: number;
}

const kLongest = 0x7fffffff; // of a timer: 24 days
const kUnits: Readonly<Record<string, number>> = { ms: 1, s: 1000, '': 1000, m: 60_000, h: 3_600_000 };

/**
 * Milliseconds of `2s`, `500ms`, `1.5m`, `1h`, or of a number of seconds. Undefined for anything else and for more than 24
 * days.
 */
export function duration(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text);
  if (match === null) return undefined;
  const milliseconds = Number(match[1]) * kUnits[match[2] ?? '']!;
  return milliseconds <= kLongest ? milliseconds : undefined;
}

/** Makes the call. When it is cancelled, prints why and after how long. A second Ctrl-C ends the command at once. */
export async function runCommand(name: string, args: readonly string[], options: RunCommandOptions): Promise<void> {
  const { timeout, ...rest } = options;
  const controller = new AbortController();
  const begun = performance.now();
  let interrupted = false;
  process.removeAllListeners('SIGINT'); // that of main.ts ends the command and prints nothing about the call
  process.once('SIGINT', () => {
    interrupted = true;
    process.once('SIGINT', () => process.exit(kInterrupted));
    controller.abort();
  });
  const timer = timeout === undefined ? undefined : setTimeout(() => controller.abort(), timeout);
  try {
    await sysCommand(name, args, { ...rest, signal: controller.signal });
  } catch (error) {
    if (!(error instanceof AbortError)) throw error;
    const after = `${((performance.now() - begun) / 1000).toFixed(1)} s`;
    complain(`${name} was cancelled after ${after}: ${interrupted ? 'interrupted' : 'it timed out'}`);
    throw new Exit(interrupted ? kInterrupted : 1);
  } finally {
    clearTimeout(timer);
  }
}
