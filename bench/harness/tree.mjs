/**
 * The data: N files of 0..4 KiB, 500 per directory, three levels below the root, the same bytes on every machine. Made once
 * in the checkout, whose owner alone uses it, and counted again before each use, which also warms the cache.
 */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { scratch } from './scratch.mjs';

/**
 * @typedef {object} Tree
 * @property {string} root
 * @property {string} pathsFile a file with every file's path, NUL-terminated
 * @property {number} files
 * @property {number} directories below the root
 * @property {number} sizeBytes sum of the files' sizes
 * @property {number} blocksBytes what `du -s -B1` says
 * @property {number} fileBlocksBytes the same without the directories' own
 */

const filesPerDirectory = 500;
const directoriesPerGroup = 20;
const maxFileBytes = 4096;
const seed = 0x5eed;

/**
 * @param {number} files
 * @param {(text: string) => void} say
 * @param {number} [fileBytes] the size of every file; without it sizes are drawn
 * @returns {Tree}
 */
export function prepareTree(files, say, fileBytes) {
  const folder = scratch(fileBytes === undefined ? `files-${files}` : `files-${files}-of-${fileBytes}`);
  const root = join(folder, 'tree');
  const pathsFile = join(folder, 'paths');
  const layout = plan(files, root, fileBytes);
  const sizeBytes = layout.sizes.reduce((sum, size) => sum + size, 0);
  if (!existsSync(folder)) {
    say(`making ${files} files under ${folder}`);
    make(folder, layout);
  }
  const found = survey(root);
  if (found.files !== files || found.directories !== layout.directories.length || found.sizeBytes !== sizeBytes) {
    throw new Error(`${folder} is not what was made there (${JSON.stringify(found)}): remove it and run again`);
  }
  return { root, pathsFile, ...found };
}

/** @param {Tree} tree */
export function treePaths(tree) {
  return readFileSync(tree.pathsFile, 'utf8').split('\0').slice(0, -1);
}

/**
 * @param {number} files
 * @param {string} root
 * @param {number} [fileBytes]
 */
function plan(files, root, fileBytes) {
  const random = randomNumbers(seed);
  const directories = [];
  const paths = [];
  const sizes = [];
  let directory = root;
  for (let i = 0; i < files; i++) {
    if (i % filesPerDirectory === 0) {
      const index = i / filesPerDirectory;
      const group = join(root, `group-${pad(Math.floor(index / directoriesPerGroup), 2)}`);
      if (index % directoriesPerGroup === 0) directories.push(group);
      directory = join(group, `directory-${pad(index, 3)}`);
      directories.push(directory);
    }
    paths.push(`${directory}/file-${pad(i, 6)}.txt`);
    sizes.push(fileBytes ?? Math.floor(random() * (maxFileBytes + 1)));
  }
  return { root, directories, paths, sizes };
}

/**
 * @param {string} folder
 * @param {ReturnType<typeof plan>} layout
 */
function make(folder, { root, directories, paths, sizes }) {
  // Built beside its place and renamed, so that a folder of that name is always whole.
  const building = `${folder}.${process.pid}`;
  const moved = (/** @type {string} */ path) => building + path.slice(folder.length);
  const random = randomNumbers(seed + 1);
  const bytes = Buffer.from(Array.from({ length: 2 * maxFileBytes }, () => Math.floor(random() * 256)));
  try {
    for (const directory of [root, ...directories]) mkdirSync(moved(directory), { recursive: true });
    paths.forEach((path, i) => {
      const begin = i % maxFileBytes;
      writeFileSync(moved(path), bytes.subarray(begin, begin + sizes[i]));
    });
    writeFileSync(join(building, 'paths'), paths.map((path) => `${path}\0`).join(''));
    renameSync(building, folder);
  } finally {
    rmSync(building, { recursive: true, force: true });
  }
}

/** @param {string} root */
function survey(root) {
  const found = { files: 0, directories: -1, sizeBytes: 0, blocksBytes: 0, fileBlocksBytes: 0 };
  const visit = (/** @type {string} */ directory) => {
    found.directories++;
    found.blocksBytes += lstatSync(directory).blocks * 512;
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      const path = `${directory}/${entry.name}`;
      if (entry.isDirectory()) {
        visit(path);
        continue;
      }
      const { size, blocks } = lstatSync(path);
      found.files++;
      found.sizeBytes += size;
      found.blocksBytes += blocks * 512;
      found.fileBlocksBytes += blocks * 512;
    }
  };
  visit(root);
  return found;
}

/**
 * @param {number} value
 * @param {number} digits
 */
function pad(value, digits) {
  return String(value).padStart(digits, '0');
}

/**
 * mulberry32: numbers in [0, 1), the same for the same seed.
 * @param {number} state
 */
function randomNumbers(state) {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
