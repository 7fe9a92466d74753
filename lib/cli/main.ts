#!/usr/bin/env node
/* The command `acall`: reads the arguments, loads the sub-command, sets the exit code. docs/cli.md */
import './compile-cache';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { complain, Exit, followClosedPipes, kInterrupted, messageOf } from './output';

const kUsage = 2;

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) throw new InvalidArgumentError('It must be a whole number.');
  return value;
}

function milliseconds(text: string): number {
  const value = (require('./run') as typeof import('./run')).duration(text);
  if (value === undefined) throw new InvalidArgumentError('It must be a time such as 2s, 500ms or 1.5m.');
  return value;
}

const kRunHelp = `
Arguments are written as for acall sys.

Examples:
  $ acall run --timeout 2s openat AT_FDCWD fifo O_RDONLY
  $ acall run read 0 @100 100`;

const kSysHelp = `
Arguments are numbers (10, -1, 0x1f, 0o644, 0644), constants of the kernel headers joined by | (AT_FDCWD,
O_RDONLY|O_CLOEXEC), text where the call takes a name, NULL, @SIZE for a buffer that the call writes to and =TEXT
for text anywhere a pointer is taken.

Examples:
  $ acall sys openat AT_FDCWD /etc/hostname O_RDONLY
  $ acall sys getrandom @16 16 0
  $ acall sys mkdirat AT_FDCWD new 0755
  $ acall sys uname @390`;

function program(): Command {
  const { version } = require('../../package.json') as { version: string };
  const acall = new Command('acall')
    .description('Asynchronous system calls on Linux: look at files, walk trees, add them up, make any call.')
    .version(version)
    .showHelpAfterError('(acall --help prints more)')
    .addHelpText('after', '\nExit codes: 0 success, 1 a call failed, 2 wrong usage, 130 interrupted.')
    .enablePositionalOptions()
    .exitOverride();
  acall
    .command('stat')
    .description('print the stat(2) result of each path')
    .argument('<path...>', 'files to look at')
    .option('--json', 'the numeric fields, one object per line')
    .option('-P, --no-follow', 'look at symbolic links themselves')
    .action((paths, options) => (require('./stat') as typeof import('./stat')).statCommand(paths, options));
  acall
    .command('ls')
    .description('list folders')
    .argument('[path...]', 'folders', ['.'])
    .option('-a, --all', 'hidden names too')
    .option('-l, --long', 'mode, links, owner, size and time')
    .option('--json', 'one object per line')
    .action((paths, options) => (require('./ls') as typeof import('./ls')).lsCommand(paths, options));
  acall
    .command('walk')
    .description('every path below a folder, in no particular order')
    .argument('[root...]', 'where to begin', ['.'])
    .option('--json', 'one object per line')
    .option('--stats', 'as --json, with the numeric fields of each entry')
    .option('--max-depth <n>', 'go no deeper than this', wholeNumber)
    .option('-x, --one-file-system', 'stay on the file system of the root')
    .addOption(new Option('-0, --null', 'end each path with a NUL instead of a newline').conflicts(['json', 'stats']))
    .action((roots, options) => (require('./walk') as typeof import('./walk')).walkCommand(roots, options));
  acall
    .command('du')
    .description('the space that a tree uses, hard links counted once')
    .argument('[root...]', 'trees to add up', ['.'])
    .option('--json', '{ bytes, files, directories, errors }')
    .option('-b, --apparent-size', 'sizes instead of blocks, as GNU du -b')
    .option('-x, --one-file-system', 'stay on the file system of the root')
    .option('-B, --bytes', 'plain bytes also on a terminal')
    .action((roots, options) => (require('./du') as typeof import('./du')).duCommand(roots, options));
  acall
    .command('sys')
    .description('any system call, printed as strace prints it')
    .argument('<name>', 'name or number')
    .argument('[args...]', 'up to six')
    .option('--own', 'on a thread of its own (calls that change their thread)')
    .option('--unsafe', 'also calls whose pointers cannot be checked')
    .option('--json', 'one object')
    .addHelpText('after', kSysHelp)
    .passThroughOptions()
    .allowUnknownOption()
    .action((name, args, options) => (require('./run') as typeof import('./run')).runCommand(name, args, options));
  acall
    .command('run')
    .description('as sys, for a call that may block: Ctrl-C and --timeout cancel it')
    .argument('<name>', 'name or number')
    .argument('[args...]', 'up to six')
    .option('-t, --timeout <time>', 'cancel it after 2s, 500ms, 1.5m, ...', milliseconds)
    .option('--own', 'on a thread of its own')
    .option('--unsafe', 'also calls whose pointers cannot be checked')
    .option('--json', 'one object')
    .addHelpText('after', kRunHelp)
    .passThroughOptions()
    .allowUnknownOption()
    .action((name, args, options) => (require('./run') as typeof import('./run')).runCommand(name, args, options));
  acall
    .command('bench')
    .description('measure stat and getppid on this machine, through node:fs and acall, in some seconds')
    .option('--files <n>', 'files to look at', wholeNumber, 20_000)
    .option('--json', 'one object per line')
    .action((options) => (require('./bench') as typeof import('./bench')).benchCommand(options));
  for (const command of acall.commands) command.exitOverride().showHelpAfterError('(--help prints more)');
  return acall;
}

async function main(): Promise<void> {
  followClosedPipes();
  process.once('SIGINT', () => {
    complain('interrupted');
    process.exit(kInterrupted);
  });
  try {
    const acall = program();
    if (process.argv.length <= 2) {
      acall.outputHelp({ error: true });
      process.exitCode = kUsage;
      return;
    }
    await acall.parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? 0 : kUsage;
    } else if (error instanceof Exit) {
      if (error.message !== '') complain(error.message);
      process.exitCode = error.status;
    } else {
      complain(messageOf(error));
      process.exitCode = 1;
    }
  }
}

void main();
