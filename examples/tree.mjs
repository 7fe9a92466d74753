// A walk and a du. Usage: node examples/tree.mjs [FOLDER]
import { du, walk } from 'acall';

const root = process.argv[2] ?? '/etc';
const unreadable = [];
const onError = (error) => unreadable.push(error.path);

let links = 0;
let newest;
for await (const batch of walk(root, { stats: true, onError }).batches()) {
  for (const entry of batch) {
    if (entry.isSymbolicLink()) links++;
    else if (entry.isFile() && entry.stats && entry.stats.mtimeMs > (newest?.stats.mtimeMs ?? 0)) newest = entry;
  }
}
console.log(`${links} symbolic links; changed last: ${newest?.path} (${newest?.stats.mtime.toISOString()})`);

const { bytes, files, directories, errors } = await du(root);
console.log(
  `${bytes} bytes in ${files} files and ${directories} directories; ${errors + unreadable.length} unreadable`,
);
