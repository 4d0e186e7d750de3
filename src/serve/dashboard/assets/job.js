// One job: how far it is, its course, its routes, its items.

import { get } from '/assets/api.js';
import { lines } from '/assets/charts.js';
import { fill, h, say } from '/assets/dom.js';
import { actions, pages, stateBar, stateKind, stateWord } from '/assets/jobs.js';
import { openItem } from '/assets/trail.js';
import { count, ended, latency, lost, moment, ms, percent, reasons, short, span, standing, usd, waiting } from '/assets/words.js';

const PAGE = 50;
const COURSE = 20000;

export function jobPage(main, id) {
  let made = null;
  return {
    update(known) {
      const job = known.jobs.get(id);
      if (!known.ready) return;
      if (!job) {
        made?.close();
        made = null;
        return void fill(main, h('section.empty', null, h('h1', null, 'There is no such job'), h('p', null, h('a', { href: '/' }, 'All jobs'))));
      }
      made ??= page(main, job);
      made.update(job);
    },
    close() { made?.close(); },
  };
}

function page(main, job) {
  document.title = `${job.name} · overnight`;
  const state = h('span.state'), wait = h('span.muted'), tiles = h('dl.tiles'), routes = h('div'), notes = h('p.muted');
  const bar = stateBar(), buttons = actions(job), items = itemTable(job.job_id);
  const speed = lines('Items a minute', 'items', (ats, ns) => `${count(Math.round(ns.at(-1) ?? 0))} items a minute at the end, at most ${count(Math.round(Math.max(0, ...ns)))}`);
  const money = lines('Spent, USD', 'usd', (ats, ns) => `${usd(ns.at(-1) ?? 0)} spent by ${ats.length ? moment(ats.at(-1) * 1000) : 'now'}`);
  fill(main,
    h('p.crumb', null, h('a', { href: '/' }, 'All jobs')),
    h('div.head', null, h('h1', null, h('bdi', null, job.name)), state, wait, buttons.element),
    h('p.muted', null, job.job_id, Object.entries(job.tags).map(([key, value]) => [' ', h('span.tag', null, `${key}=${value}`)])),
    bar.element, tiles,
    h('div.pair', null, speed.element, money.element),
    h('section', { 'aria-labelledby': 'routes-title' }, h('h2', { id: 'routes-title' }, 'Routes'), h('div.scroll', { tabindex: '0', role: 'region', 'aria-labelledby': 'routes-title' }, routes)),
    h('section', { 'aria-labelledby': 'items-title' }, h('h2', { id: 'items-title' }, 'Items'), items.element, notes));
  let points = [], timer = null, latest = job;
  const course = async () => {
    if (!document.hidden) {
      points = await get(`/jobs/${job.job_id}/timeline`).then((found) => found.points, () => points);
      draw();
    }
    if (!latest.finished_at) timer = setTimeout(course, COURSE);
  };
  function draw() {
    const all = [...points];
    if (!latest.finished_at && all.length) all.push({ at: Date.now(), ended: ended(latest), cost_usd: latest.cost_usd });
    const ats = all.map((point) => new Date(point.at) / 1000);
    money.update(ats, all.map((point) => point.cost_usd));
    const rates = rate(all);
    speed.update(rates.map(([at]) => at), rates.map(([, n]) => n));
  }
  course();
  items.load();
  let drawn = '';
  return {
    update(job) {
      const over = Boolean(job.finished_at) && !latest.finished_at;
      latest = job;
      bar.update(job);
      buttons.update(job);
      say(state, stateWord(job));
      state.className = `state ${stateKind(job)}`;
      say(wait, job.paused ? '' : waiting(job));
      const now = JSON.stringify([job.counts, job.cost_usd, job.eta, job.per_minute, job.routes, Math.floor(Date.now() / 30000)]);
      if (now === drawn) return;
      drawn = now;
      drawTiles(tiles, job);
      drawRoutes(routes, job);
      say(notes, job.finished_at ? '' : 'Items appear here when they end; the list is as of the moment it was looked up.');
      if (points.length) draw();
      if (over) { course(); items.load(); }
    },
    close() { clearTimeout(timer); speed.close(); money.close(); },
  };
}

/** Items a minute over stretches long enough to mean something. */
function rate(points) {
  const found = [];
  let from = points[0];
  if (!from) return found;
  const least = Math.max(3000, (new Date(points.at(-1).at) - new Date(from.at)) / 40);
  for (const point of points.slice(1)) {
    const took = new Date(point.at) - new Date(from.at);
    if (took < least) continue;
    found.push([new Date(point.at) / 1000, (60000 * (point.ended - from.ended)) / took]);
    from = point;
  }
  return found;
}

function drawTiles(tiles, job) {
  const stand = standing(job);
  const tile = (name, value, note, kind) => h('div.tile', { class: `tile ${kind ?? ''}` }, h('dt', null, name), h('dd.value', null, value), h('dd.note', null, note));
  const began = ms(job.first_sent_at), took = began && (ms(job.finished_at) ?? Date.now()) - began;
  fill(tiles,
    tile('Done', percent(ended(job), job.items), `${count(ended(job))} of ${count(job.items)}${job.per_minute ? `, ${count(Math.round(job.per_minute))} a minute` : ''}`),
    tile('Not succeeded', count(lost(job)), reasons(job.failures) || 'nothing failed', lost(job) ? 'bad' : ''),
    tile('Spent', usd(job.cost_usd), [job.max_cost_usd == null ? 'no cap' : `of ${usd(job.max_cost_usd)}`, job.reserved_usd ? `, ${usd(job.reserved_usd)} reserved` : '']),
    tile('Saved', usd(Math.max(0, job.list_cost_usd - job.cost_usd)), `against ${usd(job.list_cost_usd)} at list price`, 'good'),
    tile('Deadline', job.deadline_at ? moment(job.deadline_at) : 'none', stand.words, stand.kind),
    tile('Time', took ? span(took) : '–', job.eta && !job.finished_at ? `expected to end ${moment(job.eta)}` : job.finished_at ? `ended ${moment(job.finished_at)}` : 'not begun'));
}

function drawRoutes(place, job) {
  const number = (text) => h('td.num', null, text);
  fill(place, job.routes.length ? h('table', null, h('caption.hidden', null, 'What each route did'),
    h('thead', null, h('tr', null, h('th', { scope: 'col' }, 'Route'), ['Accepted', 'Not accepted', 'Errors', 'p50', 'p95', 'Per success', 'Spent'].map((head) => h('th.num', { scope: 'col' }, head)), h('th', { scope: 'col' }, 'Price now'))),
    h('tbody', null, job.routes.map((route) => h('tr', null, h('th', { scope: 'row' }, h('bdi', null, route.route)), number(count(route.succeeded)),
      number(reasons(route.rejected) || '0'), number(reasons(route.errors) || '0'), number(latency(route.p50_ms)), number(latency(route.p95_ms)),
      number(usd(route.cost_per_success_usd)), number(usd(route.cost_usd)), h('td', null, route.price_window ? `${route.price_window}${route.price_until ? ` until ${moment(route.price_until)}` : ''}` : '–')))))
    : h('p.muted', null, 'Nothing was sent yet.'));
}

function itemTable(job) {
  let skip = 0, shown = 0, all = 0, turn = 0;
  const body = h('tbody'), pager = h('div.pager');
  const state = h('select', { 'aria-label': 'State of items', onchange: () => { skip = 0; load(); } },
    [['', 'All that ended'], ['succeeded', 'Succeeded'], ['failed', 'Failed'], ['expired', 'Expired'], ['cancelled', 'Cancelled']].map(([value, name]) => h('option', { value }, name)));
  const name = h('input', { type: 'search', 'aria-label': 'Id of an item', placeholder: 'id of an item' });
  const find = h('form', { onsubmit: (event) => { event.preventDefault(); if (name.value) openItem(job, name.value); } }, name, h('button', { type: 'submit' }, 'Show'));
  const row = (item) => h('tr', null,
    h('th', { scope: 'row' }, h('button.link', { type: 'button', onclick: () => openItem(job, item.custom_id) }, h('bdi', null, item.custom_id))),
    h('td', null, h('span.state', { class: `state ${item.state === 'succeeded' ? 'good' : 'bad'}` }, item.state)),
    h('td.long', null, [item.reason, item.message].filter(Boolean).join(': ')),
    h('td', null, h('bdi', null, item.route ?? '–')), h('td.num', null, count(item.attempts)), h('td.num', null, usd(item.cost_usd)));

  async function load() {
    const mine = ++turn;
    try {
      const found = await get(`/jobs/${job}/items?limit=${PAGE}&skip=${skip}&state=${state.value}`);
      if (mine !== turn) return;
      shown = found.items.length;
      all = skip + shown + found.more;
      fill(body, shown ? found.items.map(row) : h('tr', null, h('td.muted', { colspan: '6' }, 'None so far.')));
      pager.dataset.key = '';
      pages(pager, Math.floor(skip / PAGE), all, PAGE, (to) => { skip = to * PAGE; load(); });
      const rest = Object.entries(found.not_listed).map(([word, n]) => `${short(n)} ${word}`).join(', ');
      if (rest) pager.append(h('span.muted', null, `and ${rest}`));
    } catch (error) { fill(body, h('tr', null, h('td.bad', { colspan: '6' }, error.message))); }
  }

  return {
    element: h('div', null, h('div.tools', null, state, find, h('button', { type: 'button', onclick: () => load() }, 'Look again')),
      h('div.scroll', { tabindex: '0', role: 'region', 'aria-label': 'Items' }, h('table', null, h('caption.hidden', null, 'Items'),
        h('thead', null, h('tr', null, ['Item', 'State', 'Why', 'Route'].map((head) => h('th', { scope: 'col' }, head)), ['Attempts', 'Cost'].map((head) => h('th.num', { scope: 'col' }, head)))), body)), pager),
    load,
  };
}
