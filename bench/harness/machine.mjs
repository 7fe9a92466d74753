/** The facts about the machine, for the results. */
import { readFileSync } from 'node:fs';
import os from 'node:os';

export function machineFacts(/** @type {string} */ folder) {
  return {
    cpu: os.cpus()[0]?.model.trim() || os.arch(),
    cores: os.availableParallelism(),
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    kernel: os.release(),
    architecture: os.arch(),
    fileSystem: fileSystemOf(folder),
    loadAverage: os.loadavg()[0],
    date: new Date().toISOString().slice(0, 10),
  };
}

/**
 * @param {string} folder
 * @returns {string} such as "ext4"
 */
function fileSystemOf(folder) {
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, point]) => point && (folder === point || folder.startsWith(point === '/' ? '/' : `${point}/`)));
  // The longest mount point is the innermost; of two on one point the later hides the earlier.
  const innermost = mounts.reduce(
    (best, mount) => (mount[1].length >= best[1].length ? mount : best),
    ['', '', 'unknown'],
  );
  return innermost[2];
}
