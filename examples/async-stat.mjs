// The loop that any interface for asynchronous calls must make short (Linus Torvalds, 2007): stat every entry of a folder.
// Usage: node examples/async-stat.mjs [FOLDER]
import { asyncScope, readdir, StatBuffer } from 'acall';

const folder = process.argv[2] ?? '/usr/bin';
const { async_stat, wait_for_async } = asyncScope();

const names = await readdir(folder);
const entries = names.map(() => new StatBuffer());
for (const [i, name] of names.entries()) async_stat(`${folder}/${name}`, entries[i]);
await wait_for_async();

const found = entries.filter(({ error }) => error === 0);
const bytes = found.reduce((sum, { size }) => sum + size, 0);
console.log(`${folder}: ${found.length} of ${names.length} entries, ${bytes} bytes`);
