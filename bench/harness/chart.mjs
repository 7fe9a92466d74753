/**
 * Draws results as one SVG: a panel per case, a bar per driver, a whisker from the fastest process to the slowest. Bars start at
 * zero on a linear scale. Written by hand: it is rectangles and text, and follows the reader's light or dark scheme.
 */
import { machineLine } from './report.mjs';
import { format } from './statistics.mjs';

const width = 860;
const labelWidth = 270;
const valueWidth = 110;
const barHeight = 14;
const rowHeight = 21;
const panelHead = 48;
const margin = 16;

const style = `
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .title { font-size: 16px; font-weight: 600; } .panel { font-weight: 600; } .note { font-size: 11px; fill: #59636e; }
  .acall { fill: #0969da; } .rival { fill: #bf8700; } .limit { fill: #8c959f; } .background { fill: #ffffff; }
  .whisker { stroke: #1f2328; stroke-width: 1.5; opacity: 0.6; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .note { fill: #9198a1; } .background { fill: #0d1117; } .whisker { stroke: #e6edf3; }
    .acall { fill: #4493f8; } .rival { fill: #d29922; } .limit { fill: #6e7681; }
  }`;

/**
 * @param {import('./results.mjs').Results} results
 * @returns {string}
 */
export function chart(results) {
  const parts = [];
  let y = margin + 16;
  parts.push(text(margin, y, 'acall and others', 'title'));
  y += 20;
  for (const line of wrap(machineLine(results), 130)) {
    parts.push(text(margin, y, line, 'note'));
    y += 15;
  }
  parts.push(legend(y));
  y += 22;
  for (const result of results.cases) {
    const drawn = panel(result, y, results.nodes[0]);
    parts.push(drawn.body);
    y += drawn.height;
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${y + margin}" viewBox="0 0 ${width} ${y + margin}"`,
    '  role="img" aria-label="benchmark results">',
    `<style>${style}\n</style>`,
    `<rect class="background" width="${width}" height="${y + margin}"/>`,
    ...parts,
    '</svg>\n',
  ].join('\n');
}

/**
 * @param {import('./results.mjs').CaseResult} result
 * @param {number} top
 * @param {string} node
 */
function panel(result, top, node) {
  const [metric] = result.metrics;
  const rows = result.rows.filter((row) => row.figures[metric.name] && (row.node === null || row.node === node));
  const scale =
    (width - labelWidth - valueWidth - 2 * margin) / Math.max(...rows.map((row) => row.figures[metric.name].max));
  const left = margin + labelWidth;
  const subtitle = `${metric.name} in ${metric.unit}, ${metric.better} is better`;
  const parts = [text(margin, top + 20, result.title, 'panel'), text(margin, top + 36, subtitle, 'note')];
  rows.forEach((row, i) => {
    const { median, min, max } = row.figures[metric.name];
    const y = top + panelHead + i * rowHeight;
    const middle = y + barHeight / 2;
    parts.push(text(left - 8, y + barHeight - 3, row.driver, 'label', 'end'));
    parts.push(
      `<rect class="${row.kind}" x="${left}" y="${y}" width="${px(Math.max(median * scale, 1))}" height="${barHeight}"/>`,
    );
    const whisker = `x1="${px(left + min * scale)}" x2="${px(left + max * scale)}" y1="${middle}" y2="${middle}"`;
    parts.push(`<line class="whisker" ${whisker}/>`);
    parts.push(text(left + max * scale + 8, y + barHeight - 3, `${format(median)} ${metric.unit}`, 'value'));
  });
  return { body: parts.join('\n'), height: panelHead + rows.length * rowHeight + margin };
}

/** @param {number} y */
function legend(y) {
  const entries = [
    ['acall', 'acall'],
    ['rival', 'others'],
    ['limit', 'a C program, the limit'],
  ];
  return entries
    .map(([kind, label], i) => {
      const x = margin + i * 110;
      return `<rect class="${kind}" x="${x}" y="${y - 2}" width="12" height="12"/>${text(x + 18, y + 8, label, 'note')}`;
    })
    .join('\n');
}

/**
 * @param {number} x
 * @param {number} y
 * @param {string} content
 * @param {string} kind
 * @param {'start' | 'end'} anchor
 */
function text(x, y, content, kind, anchor = 'start') {
  const escaped = content.replace(/&/g, '&amp;').replace(/</g, '&lt;');
  return `<text class="${kind}" x="${px(x)}" y="${y}" text-anchor="${anchor}">${escaped}</text>`;
}

/** @param {number} value */
function px(value) {
  return Number(value.toFixed(1));
}

/**
 * @param {string} line
 * @param {number} limit
 */
function wrap(line, limit) {
  const lines = [''];
  for (const word of line.split(' ')) {
    const last = lines[lines.length - 1];
    if (last.length + word.length < limit) lines[lines.length - 1] = last ? `${last} ${word}` : word;
    else lines.push(word);
  }
  return lines;
}
