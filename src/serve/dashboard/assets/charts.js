// Drawings: lines over time with uPlot, bars of hours and the strip of a day as elements of their own.

import { h, say } from '/assets/dom.js';
import { count, exact, moment, usd } from '/assets/words.js';

const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const dark = matchMedia('(prefers-color-scheme: dark)');

/** Lines over time; `tell(ats, values)` puts them in words for those who do not see them. */
export function lines(title, unit, tell) {
  const canvas = h('div.plot');
  const words = h('p.hidden'), read = h('span.muted', { 'aria-hidden': 'true' });
  const element = h('figure', null, h('figcaption', null, title, read), canvas, words);
  let plot = null, last = [[], []];
  const value = unit === 'usd' ? (n) => usd(n) : (n) => count(Math.round(n));

  const latest = () => (last[1].length ? value(last[1].at(-1)) : '');

  function draw() {
    plot?.destroy();
    const width = Math.max(canvas.clientWidth, 240);
    const axis = { stroke: ink('--muted'), font: '11px system-ui', grid: { stroke: ink('--line'), width: 1 }, ticks: { show: false } };
    plot = new window.uPlot({
      width, height: 190,
      legend: { show: false },
      hooks: { setCursor: [({ cursor: { idx }, data: [ats, values] }) => say(read, idx == null ? latest() : `${exact(ats[idx] * 1000)}  ${value(values[idx])}`)] },
      cursor: { points: { size: 7 }, y: false },
      scales: { y: { range: (_, low, high) => [0, Math.max(high * 1.08, 1e-9)] } },
      series: [
        {},
        { stroke: ink('--accent'), fill: ink('--wash'), width: 1.75, points: { show: false } },
      ],
      axes: [
        { ...axis, size: 26, values: (_, ats) => ats.map((at) => (ats[1] - ats[0] < 60 ? exact : moment)(at * 1000)), space: 84 },
        { ...axis, size: 54, values: (_, ns) => ns.map(value), space: 36 },
      ],
    }, last, canvas);
  }

  const resized = new ResizeObserver(() => plot && Math.abs(plot.width - canvas.clientWidth) > 4 && draw());
  resized.observe(canvas);
  dark.addEventListener('change', draw);
  return {
    element,
    update(ats, values) {
      last = [ats, values];
      element.hidden = ats.length < 2;
      say(words, tell(ats, values));
      say(read, latest());
      if (element.hidden) return;
      if (plot) plot.setData(last);
      else requestAnimationFrame(draw);
    },
    close() { resized.disconnect(); dark.removeEventListener('change', draw); plot?.destroy(); },
  };
}

/** The colour of a price window: the cheap ones, the dear ones, those that never change, others. */
const shade = (name) => `w${/off|cheap|night|discount/.test(name) ? 2 : /peak|dear|day/.test(name) ? 1 : name === 'flat' ? 0 : 3}`;

/** Bars of what was spent an hour, the windows of its prices on top of each other. */
export function hours(rows) {
  const byHour = new Map();
  const windows = [...new Set(rows.map((row) => row.window))].sort();
  for (const row of rows) {
    const at = Date.parse(`${row.hour.replace(' ', 'T')}:00Z`);
    if (!byHour.has(at)) byHour.set(at, []);
    byHour.get(at).push(row);
  }
  const ats = [...byHour.keys()].sort((a, b) => a - b);
  if (!ats.length) return null;
  const end = ats.at(-1), from = Math.max(ats[0], end - 47 * 3600000);
  const all = [];
  for (let at = Math.min(from, end - 11 * 3600000); at <= end; at += 3600000) all.push([at, byHour.get(at) ?? []]);
  const cost = (parts) => parts.reduce((sum, row) => sum + row.cost_nano_usd, 0) / 1e9;
  const most = Math.max(...all.map(([, parts]) => cost(parts)), 1e-12);
  const bars = all.map(([at, parts]) => h('div.hour', { title: `${moment(at)}  ${usd(cost(parts))}` },
    parts.sort((a, b) => windows.indexOf(a.window) - windows.indexOf(b.window)).map((row) =>
      h(`i.${shade(row.window)}`, { style: { height: `${(100 * row.cost_nano_usd) / 1e9 / most}%` } }))));
  const named = all.filter((_, index) => index % Math.ceil(all.length / 5) === 0);
  return h('div.hours', { role: 'img', 'aria-label': `Spent by hour: ${all.filter(([, parts]) => parts.length).slice(-6).map(([at, parts]) => `${moment(at)} ${usd(cost(parts))}`).join(', ')}` },
    h('div.bars', null, bars),
    h('div.scale', { 'aria-hidden': 'true' }, named.map(([at]) => h('span', { style: { left: `${(100 * (at - all[0][0])) / (all.length * 3600000)}%` } }, moment(at)))),
    h('p.key', { 'aria-hidden': 'true' }, windows.map((name) => h('span', null, h(`i.${shade(name)}`), name)), h('span.most', null, `most ${usd(most)} an hour`)));
}
