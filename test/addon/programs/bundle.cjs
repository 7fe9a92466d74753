/* A program of bundle.test.ts: it may require nothing that loads acall before it does. */
const vm = require('node:vm');

/** Loads a copy of dist/; its names, whether V8 refused kept code, and the inode of a folder as acall sees it. */
async function load(/** @type {string} */ dist, /** @type {string} */ folder) {
  /** @type {unknown[]} */
  const kept = [];
  const { Script } = vm;
  vm.Script = class extends Script {
    /** @param {string} code @param {vm.ScriptOptions | string} [options] */
    constructor(code, options) {
      super(code, options);
      kept.push(this.cachedDataRejected);
    }
  };
  /** @type {typeof import('acall')} */
  const acall = require(dist);
  const { ino } = await acall.stat(folder);
  return { names: Object.keys(acall), kept, ino };
}

module.exports = { load };
