/** Figures that cases share. */

/** @typedef {import('./cases.mjs').Metric} Metric */

/** @type {Metric} */
export const millionsPerSecond = { name: 'rate', unit: 'M/s', better: 'higher', of: ({ ns, ops }) => (ops / ns) * 1e3 };

/** @type {Metric} */
export const milliseconds = { name: 'time', unit: 'ms', better: 'lower', of: ({ ns }) => ns / 1e6 };

/** @type {Metric} */
export const microsecondsEach = {
  name: 'time of one',
  unit: 'us',
  better: 'lower',
  of: ({ ns, ops }) => ns / ops / 1e3,
};
