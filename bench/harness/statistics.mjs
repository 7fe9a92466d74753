/** From samples to figures. A process's value is the median of its runs; a driver's, the median of its processes. */

/** @typedef {{ median: number, min: number, max: number }} Figure */

/**
 * @param {number[]} values at least one
 * @returns {Figure}
 */
export function summarize(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { median, min: sorted[0], max: sorted[sorted.length - 1] };
}

/**
 * How fast against the baseline: above 1 is better, whichever way the metric runs.
 * @param {number} value
 * @param {number} baseline
 * @param {'higher' | 'lower'} better
 */
export function speedOf(value, baseline, better) {
  return better === 'higher' ? value / baseline : baseline / value;
}

/**
 * Three significant digits, without an exponent.
 * @param {number} value
 */
export function format(value) {
  if (!Number.isFinite(value)) return '-';
  if (Math.abs(value) >= 100) return value.toFixed(0);
  return String(Number(value.toPrecision(3)));
}
