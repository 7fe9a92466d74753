/* Loads the addon of slow_addon.c, whose path is the argument, while the engine is at work: the watchdog must report its fault. */
const { syscall } = require('acall');

void (async () => {
  await syscall('getppid');
  require(String(process.argv[2]));
  await syscall('getppid');
})();
