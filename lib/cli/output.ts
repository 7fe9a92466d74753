/* What the command prints: stdout with back-pressure, one line for each error, colours on a terminal. */
import { styleText } from 'node:util';

/** The exit code of a command that Ctrl-C has ended. */
export const kInterrupted = 130;

type Style = Parameters<typeof styleText>[0];

/** Ends a command with an exit code: 0 success, 1 a call failed, 2 wrong usage, 130 interrupted. */
export class Exit extends Error {
  readonly status: number;

  constructor(status: number, message = '') {
    super(message);
    this.status = status;
  }
}

/** Whether to use colours: NO_COLOR and FORCE_COLOR decide, otherwise whether stdout is a terminal with colours. */
function hasColours(stream: NodeJS.WriteStream = process.stdout): boolean {
  if (process.env.NO_COLOR) return false;
  const forced = process.env.FORCE_COLOR;
  if (forced !== undefined) return forced !== '0' && forced !== 'false';
  return stream.isTTY === true && stream.getColorDepth() > 1;
}

/** Adds a style to a text, where colours are on. */
export function paint(style: Style, text: string): string {
  return hasColours() ? styleText(style, text) : text;
}

/** Ends the process when the reader of the output has gone, as filters do. */
export function followClosedPipes(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      process.exit(error.code === 'EPIPE' ? 0 : 1);
    });
  }
}

/** Writes to stdout; resolves when more may be written. */
export function write(data: string | Uint8Array): Promise<void> | undefined {
  if (process.stdout.write(data)) return undefined;
  return new Promise((resolve) => process.stdout.once('drain', resolve));
}

/** Writes one line to stdout; resolves when more may be written. */
export function line(text: string): Promise<void> | undefined {
  return write(`${text}\n`);
}

/** Writes one line to stderr. */
export function complain(text: string): void {
  process.stderr.write(`acall: ${text}\n`);
}

/** The first line of an error's message. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message.split('\n', 1)[0]! : String(error);
}

const kProgressAfterMs = 400;
const kProgressEveryMs = 100;

/** A line on stderr that shows the progress of long work: only on a terminal, and only after 400 ms. */
export class Progress {
  readonly #started = Date.now();
  readonly #on = process.stderr.isTTY === true;
  #last = 0;
  #shown = false;

  show(text: () => string): void {
    if (!this.#on) return;
    const now = Date.now();
    if (now - this.#started < kProgressAfterMs || now - this.#last < kProgressEveryMs) return;
    this.#last = now;
    this.#shown = true;
    const width = process.stderr.columns || 80;
    process.stderr.write(`\r\x1b[2K${text().slice(0, width - 1)}`);
  }

  end(): void {
    if (this.#shown) process.stderr.write('\r\x1b[2K');
    this.#shown = false;
  }
}

const kUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** A number of bytes for people: `1.4 GiB`. */
export function sizeText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  for (; value >= 1024 && unit < kUnits.length - 1; unit++) value /= 1024;
  return unit === 0 ? `${value} B` : `${value.toFixed(value < 10 ? 1 : 0)} ${kUnits[unit]}`;
}

/** A table with aligned columns and no frame. `right`: indexes of columns of numbers. */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly number[] = [],
): string {
  const Table = require('cli-table3') as typeof import('cli-table3');
  const none = [
    'top',
    'top-mid',
    'top-left',
    'top-right',
    'bottom',
    'bottom-mid',
    'bottom-left',
    'bottom-right',
    'left',
    'left-mid',
    'mid',
    'mid-mid',
    'right',
    'right-mid',
  ]; // prettier-ignore
  const made = new Table({
    head: head.map((title) => paint('bold', title)),
    chars: { ...Object.fromEntries(none.map((name) => [name, ''])), middle: '  ' },
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
    colAligns: (rows[0] ?? head).map((_, i) => (right.includes(i) ? 'right' : 'left')),
  });
  made.push(...rows.map((row) => [...row]));
  return made
    .toString()
    .split('\n')
    .map((text) => text.trimEnd())
    .join('\n');
}
