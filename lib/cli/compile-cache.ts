/* Loaded before all other files of the command: from Node 22.8 on, Node keeps compiled code for the next start. */
const { enableCompileCache } = require('node:module') as { enableCompileCache?(): void };
enableCompileCache?.();
