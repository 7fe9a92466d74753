/* Loaded before all else of the command: Node keeps what it compiles for the next start, where it can (Node 22.8). */
const { enableCompileCache } = require('node:module') as { enableCompileCache?(): void };
enableCompileCache?.();
