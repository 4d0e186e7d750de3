// The first page: where the money stands, the day's windows, jobs, models, failures.

import { get, post } from '/assets/api.js';
import { hours } from '/assets/charts.js';
import { fill, h, tell } from '/assets/dom.js';
import { jobTable } from '/assets/jobs.js';
import { drawRoutes } from '/assets/routes.js';
import { drawStrip } from '/assets/strip.js';
import { sample } from '/assets/trail.js';
import { count, ended, latency, ms, percent, short, standing, usd } from '/assets/words.js';

const DAY = 86400000;
const SAMPLES = 3;
/** Jobs that are looked into for samples. */
const LOOKED_INTO = 10;

function section(id, title, ...children) {
  return h('section', { id, 'aria-labelledby': `${id}-title` }, h('h2', { id: `${id}-title` }, title), children);
}

export function homePage(main) {
  document.title = 'overnight';
  const tiles = h('nav.tiles', { 'aria-label': 'At a glance' });
  const spend = h('div'), strip = h('div'), models = h('div'), routes = h('div'), failures = h('div');
  const table = jobTable();
  const full = h('div', null, tiles,
    h('div.pair', null, section('spend', 'Spend', spend), section('windows', 'Windows, the next 24 hours', strip)),
    section('jobs', 'Jobs', table.element),
    section('models', 'Models', h('div.scroll', { tabindex: '0', role: 'region', 'aria-labelledby': 'models-title' }, models, routes)),
    section('failures', 'Failures', failures));
  const empty = emptyState();
  fill(main, h('h1.hidden', null, 'What overnight is doing'), full, empty);
  const drawn = {};
  const once = (key, value, draw) => { if (drawn[key] !== value) { drawn[key] = value; draw(); } };
  return {
    update(known) {
      full.hidden = !known.ready || !known.jobs.size;
      empty.hidden = !known.ready || known.jobs.size > 0;
      if (full.hidden) return;
      const jobs = [...known.jobs.values()];
      drawTiles(tiles, jobs, known);
      table.update(jobs);
      drawStrip(strip, known);
      once('dispatch', known.dispatch, () => drawRoutes(routes, known.dispatch));
      once('report', known.report, () => { drawSpend(spend, known); drawFailures(failures, known); });
      drawModels(models, known.report, jobs);
    },
  };
}

function tile(link, name, value, note, kind, share) {
  return h('a.tile', { href: link, class: `tile ${kind ?? ''}` }, h('span.name', null, name), h('span.value', null, value), h('span.note', null, note),
    share == null ? null : h('span.share', { 'aria-hidden': 'true' }, h('i', { style: { width: `${Math.min(100, 100 * share)}%` } })));
}

function drawTiles(tiles, jobs, { budgets, report }) {
  const own = budgets.filter((budget) => budget.scope === 'process');
  const day = own.find((budget) => budget.period === 'day') ?? own[0] ?? budgets[0];
  const month = report?.total?.month;
  const spent = day ? day.spent_usd : jobs.reduce((sum, job) => sum + job.cost_usd, 0);
  const list = jobs.reduce((sum, job) => sum + job.list_cost_usd, 0), cost = jobs.reduce((sum, job) => sum + job.cost_usd, 0);
  const open = jobs.filter((job) => !job.finished_at);
  const left = open.reduce((sum, job) => sum + job.items - ended(job), 0);
  const rate = open.reduce((sum, job) => sum + (job.per_minute ?? 0), 0);
  const risky = open.filter((job) => ['bad', 'warn'].includes(standing(job).kind));
  const limit = day?.limit_usd;
  fill(tiles,
    tile('#spend', { day: 'Spent today', month: 'Spent this month' }[day?.period] ?? 'Spent', usd(spent),
      [limit ? `of ${usd(limit)}, ${usd(day.left_usd)} left` : 'no budget is set', month ? `; a month like this: ${usd(month.cost_usd)}` : ''],
      limit && spent > 0.8 * limit ? 'warn' : '', limit ? spent / limit : null),
    tile('#models', 'Saved', usd(Math.max(0, list - cost)), `${percent(Math.max(0, list - cost), list)} of ${usd(list)} at list price`, 'good'),
    tile('#jobs', 'Items left', short(left), rate ? `${count(Math.round(rate))} a minute in ${open.length} ${open.length === 1 ? 'job' : 'jobs'}` : `${open.length} ${open.length === 1 ? 'job' : 'jobs'} not over`),
    tile('#jobs', 'Late or at risk', count(risky.length), risky.length ? risky[0].name : 'every deadline is expected to be met', risky.length ? 'bad' : ''));
}

function drawSpend(place, { report, budgets }) {
  const chart = report && hours(report.hours ?? []);
  const rows = budgets.filter((budget) => budget.limit_usd != null).map((budget) => h('li', null,
    h('span', null, `${budget.scope === 'process' ? 'all' : budget.scope} · ${budget.period}`),
    h('span.meter', { 'aria-hidden': 'true' }, h('i', { style: { width: `${Math.min(100, (100 * budget.spent_usd) / budget.limit_usd)}%` } })),
    h('span.num', null, `${usd(budget.spent_usd)} of ${usd(budget.limit_usd)}`)));
  const levers = report?.savings?.levers;
  const names = { cheap_first_nano_usd: 'cheap model first', windows_nano_usd: 'off-peak hours', lanes_nano_usd: 'batch and flex lanes', other_nano_usd: 'free quotas', cache_nano_usd: 'caches' };
  const saved = levers && Object.entries(names).filter(([key]) => levers[key] > 0);
  fill(place, chart ?? h('p.muted', null, 'Hours appear when the first rows are written.'),
    rows.length ? h('ul.budgets', null, rows) : null,
    saved?.length ? h('p.muted', null, 'saved by ', saved.map(([key, name], index) => [index ? ' · ' : '', name, ' ', h('b', null, usd(levers[key] / 1e9))])) : null);
}

const number = (text, kind) => h('td.num', { class: `num ${kind ?? ''}` }, text);

function drawModels(place, report, jobs) {
  const limited = new Map();
  for (const job of jobs) for (const route of job.routes) {
    const name = route.route.split(' ')[0];
    limited.set(name, (limited.get(name) ?? 0) + (route.errors.rate_limited ?? 0));
  }
  const rows = report?.models ?? [];
  if (!rows.length) return void fill(place, h('p.muted', null, 'No answers are written yet.'));
  const heads = ['Answers accepted', 'Escalated', 'Per success', 'p50', 'p95', 'p99', 'Tokens in / out', '429s', 'Spent'];
  fill(place, h('table', null,
    h('caption.hidden', null, 'Models of the last two days'),
    h('thead', null, h('tr', null, h('th', { scope: 'col' }, 'Model'), heads.map((head) => h('th.num', { scope: 'col' }, head)))),
    h('tbody', null, rows.map((row) => h('tr', null,
      h('th', { scope: 'row' }, h('bdi', null, row.key.model ?? 'nobody')),
      number([count(row.succeeded), h('small', null, ` of ${count(row.attempts)}`)]),
      number(percent(row.escalations, row.attempts), row.escalations > 0.2 * row.attempts ? 'warn' : ''),
      number(usd(row.cost_per_success_usd)), number(latency(row.p50_ms)), number(latency(row.p95_ms)), number(latency(row.p99_ms)),
      number(`${short(row.input_tokens)} / ${short(row.output_tokens)}`),
      number(count(limited.get(row.key.model) ?? 0), limited.get(row.key.model) ? 'warn' : 'zero'),
      number(usd(row.cost_usd)))))),
    report.rows_missing ? h('p.muted', null, `${count(report.rows_missing)} answers are not in the results folder yet, and not in these numbers.`) : null);
}

/** Failed items of a report by reason and model. */
function groups(report) {
  const today = new Date().toISOString().slice(0, 10), yesterday = new Date(Date.now() - DAY).toISOString().slice(0, 10);
  const found = new Map();
  for (const row of report?.groups ?? []) {
    const failed = row.items - row.succeeded, { error_code: code, model, day } = row.key;
    if (!code || failed <= 0) continue;
    const key = `${code} ${model}`;
    if (!found.has(key)) found.set(key, { key, code, model, items: 0, today: 0, yesterday: 0 });
    const group = found.get(key);
    group.items += failed;
    if (day === today) group.today += failed;
    if (day === yesterday) group.yesterday += failed;
  }
  return [...found.values()].sort((a, b) => b.items - a.items);
}

function change({ today, yesterday }) {
  if (today === yesterday) return h('span.muted', null, 'as yesterday');
  return h(today > yesterday ? 'span.bad' : 'span.good', null, `${today > yesterday ? '+' : '−'}${count(Math.abs(today - yesterday))} against yesterday`);
}

/** Jobs of the last two days in which items failed for a reason, newest first. */
function failedFor(code, jobs) {
  const late = (job) => !job.finished_at || Date.now() - ms(job.finished_at) < 2 * DAY;
  return [...jobs.values()].filter((job) => job.failures[code] && late(job)).sort((a, b) => ms(b.submitted_at) - ms(a.submitted_at));
}

function drawFailures(place, { report, jobs }) {
  const open = new Set([...place.querySelectorAll('details[open]')].map((one) => one.dataset.key));
  const found = groups(report);
  const most = found[0]?.items ?? 1;
  fill(place, found.length ? h('div.groups', null, found.slice(0, 20).map((group) => failure(group, most, open.has(group.key), jobs)))
    : h('p.muted', null, report ? 'Nothing failed in the last two days.' : 'looking…'));
}

function failure(group, most, isOpen, jobs) {
  const samples = h('div.samples', null, h('p.muted', null, 'looking…'));
  const look = async () => {
    const wanted = [], failed = failedFor(group.code, jobs);
    const isOfModel = (item) => !group.model || item.route?.split(' ')[0] === group.model;
    for (const job of failed.slice(0, LOOKED_INTO)) {
      if (wanted.length >= SAMPLES) break;
      const list = await get(`/jobs/${job.job_id}/items?reason=${group.code}&limit=50`);
      wanted.push(...list.items.filter(isOfModel).slice(0, SAMPLES - wanted.length));
    }
    const all = failed.reduce((sum, job) => sum + job.failures[group.code], 0);
    const shown = await Promise.all(wanted.map((item) => get(`/jobs/${item.job_id}/items/${encodeURIComponent(item.custom_id)}`)));
    fill(samples, shown.map(sample), h('div.buttons', null, h('button', { type: 'button', onclick: again }, `Retry all ${count(all)} of ${group.code}`)));
  };
  const again = async (event) => {
    event.target.disabled = true;
    try {
      for (const job of failedFor(group.code, jobs)) await post(`/jobs/${job.job_id}/retry`, { reasons: [group.code] });
      tell(`${group.code}: queued again`);
    } catch (error) { tell(error.message, true); }
  };
  let asked = false;
  const opened = (event) => {
    if (!event.target.open || asked) return;
    asked = true;
    look().catch((error) => fill(samples, h('p.bad', null, error.message)));
  };
  return h('details', { 'data-key': group.key, open: isOpen, ontoggle: opened },
    h('summary', null, h('b', null, group.code), ' ', h('bdi.muted', null, group.model ?? ''),
      h('span.meter', { 'aria-hidden': 'true' }, h('i', { style: { width: `${(100 * group.items) / most}%` } })),
      h('span.num', null, count(group.items)), change(group)),
    samples);
}

function emptyState() {
  const base = `${location.origin}/v1`;
  const code = (text) => h('pre', { tabindex: '0' }, h('code', null, text.split('\n').flatMap((line, index) => (index ? [document.createTextNode('\n'), line] : [line]))));
  return h('section.empty', { 'aria-labelledby': 'empty-title' },
    h('h2', { id: 'empty-title' }, 'Nothing is queued yet'),
    h('p', null, 'Two commands bring a first file here:'),
    code('overnight init\novernight submit prompts.jsonl --deadline 06:00'),
    h('p', null, 'Or change one line of what you have:'),
    code(`client = openai.OpenAI(base_url="${base}", api_key="overnight")`));
}

