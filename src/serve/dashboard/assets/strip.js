// The next 24 hours: a lane for every route that has something planned, coloured by what it costs then, with
// the attempts planned for each hour drawn on top; then prices nothing is planned at, and the jobs.

import { fill, h } from '/assets/dom.js';
import { count, moment, ms, short, span, standing } from '/assets/words.js';

const HOUR = 3600000;
const DAY = 24 * HOUR;
const MOST_ROUTES = 12;
const MOST_JOBS = 6;

export function drawStrip(place, { windows, dispatch, jobs }) {
  const now = Date.now(), from = now - (now % HOUR);
  const left = (at) => `${Math.max(0, Math.min(100, (100 * (at - from)) / DAY))}%`;
  const box = (kind, begin, end, title, { text, height } = {}) => {
    const [a, b] = [Math.max(begin, from), Math.min(end, from + DAY)];
    return b > a && h(`i.${kind}`, { title, style: { left: left(a), width: `${(100 * (b - a)) / DAY}%`, ...(height && { height: `${height}%` }) } }, text ? h('span', null, text) : null);
  };
  const lane = (name, words, boxes, kind) => h('li', { class: kind }, h('span.lane', null, h('bdi', null, name)), h('div.track', { 'aria-hidden': 'true' }, boxes, h('i.now', { style: { left: left(now) } })), h('span.words', null, words));
  const spans = (row, named) => row.spans.map((one) => box(one.state, ms(one.from), ms(one.to), `${one.window}, ${moment(one.from)} to ${moment(one.to)}`, { text: named && one.window }));
  const price = (row) => {
    const next = row.until && `until ${moment(row.until)}, then ${row.next} (in ${span(ms(row.until) - now)})`;
    return [h('b', null, `${row.window} ${row.price ?? ''}`), ' ', next || 'always', row.unusable ? ` · ${row.unusable}` : ''];
  };

  const all = windows?.windows ?? [], open = [...jobs.values()].filter((job) => !job.finished_at);
  const routes = (dispatch?.routes ?? []).map((route) => planned(route, all, from)).filter((route) => route.sum);
  const most = Math.max(1, ...routes.flatMap((route) => route.hours.map(([, n]) => n)));
  routes.sort((a, b) => b.sum - a.sum);
  const busy = routes.slice(0, MOST_ROUTES).map(({ name, row, hours, sum }) => lane(name,
    [h('b', null, `${count(sum)} planned`), ` ${moment(Math.max(hours[0][0], now))} to ${moment(hours.at(-1)[0] + HOUR)}`, row ? [' · ', price(row)] : ''],
    [row ? spans(row) : null, hours.map(([at, n]) => box('sends', at, at + HOUR, `${moment(at)}: ${count(n)} planned`, { height: Math.max(12, (100 * n) / most) }))], 'busy'));
  const taken = new Set(routes.map((route) => route.row)), rest = all.filter((row) => !taken.has(row));
  const usable = rest.filter((row) => !row.unusable);
  const idle = (usable.length || busy.length ? usable : rest).map((row) => lane(row.models.length === 1 ? row.models[0] : row.provider, price(row), spans(row, true)));
  const expected = open.filter((job) => job.eta).sort((a, b) => ms(a.eta) - ms(b.eta)).slice(0, MOST_JOBS).map((job) => {
    const begin = job.counts.running || job.per_minute ? now : ms(job.waiting_until) ?? now;
    return lane(job.name, [h('b', null, 'at work'), ` ${moment(begin)} to ${moment(job.eta)}`],
      [box(`plan.${standing(job).kind || 'good'}`, begin, Math.max(ms(job.eta), begin + 600000), `expected: ${moment(begin)} to ${moment(job.eta)}`), ms(job.deadline_at) && box('due', ms(job.deadline_at), ms(job.deadline_at) + 60000, `deadline ${moment(job.deadline_at)}`)]);
  });

  const lanes = [busy, idle, expected].flat();
  if (!lanes.length) return void fill(place, h('p.muted', null, windows ? 'No price varies, no provider has hours, and nothing is planned.' : 'looking…'));
  const ticks = [0, 6, 12, 18].map((hour) => h('span', { style: { left: `${(100 * hour) / 24}%` } }, moment(from + hour * HOUR)));
  const key = { cheap: 'cheapest', dear: 'dearer', closed: 'closed', sends: 'attempts planned', plan: 'job at work' };
  fill(place,
    h('ul.strip', null, h('li.ticks', { 'aria-hidden': 'true' }, h('span.lane'), h('div.track', null, ticks), h('span.words')), lanes),
    routes.length > MOST_ROUTES ? h('p.muted', null, `and ${count(routes.length - MOST_ROUTES)} more routes with ${short(routes.slice(MOST_ROUTES).reduce((sum, route) => sum + route.sum, 0))} planned`) : null,
    h('p.key', { 'aria-hidden': 'true' }, Object.entries(key).map(([kind, words]) => h('span', null, h(`i.${kind}`), words))));
}

/** What is planned for a route in these hours, and the row of its prices where they vary. */
function planned({ route, planned }, windows, from) {
  const hours = planned.map((hour) => [ms(hour.from), hour.attempts]).filter(([at]) => at >= from && at < from + DAY);
  const model = route.split(' ')[0];
  return { name: route, hours, sum: hours.reduce((sum, [, n]) => sum + n, 0), row: windows.find((row) => row.models.includes(model)) };
}
