// The list of jobs: a page of it at a time, rows kept from one moment to the next.

import { download, post } from '/assets/api.js';
import { confirm, fill, h, keep, say, tell } from '/assets/dom.js';
import { count, ended, lost, percent, reasons, short, standing, usd, waiting } from '/assets/words.js';

const PAGE = 25;

/** Succeeded, failed, running, waiting, as one bar. */
export function stateBar() {
  const parts = ['ok', 'failed', 'off', 'running', 'held'].map((kind) => h(`i.${kind}`));
  const element = h('div.states', { role: 'img' }, parts);
  return {
    element,
    update(job) {
      const { succeeded, failed, expired, cancelled, running, held, pending } = job.counts;
      [succeeded, failed + expired, cancelled, running, held].forEach((n, index) => parts[index].style.setProperty('width', `${n ? Math.max(0.6, (100 * n) / job.items) : 0}%`));
      const words = [`ok ${count(succeeded)}`, failed + expired ? `failed ${count(failed + expired)}` : '', running ? `running ${count(running)}` : '',
        held ? `held ${count(held)}` : '', pending ? `waiting ${count(pending)}${Object.keys(job.waiting).length ? `: ${reasons(job.waiting)}` : ''}` : '', cancelled ? `cancelled ${count(cancelled)}` : ''];
      const text = words.filter(Boolean).join(', ');
      element.title = text;
      element.setAttribute('aria-label', text);
    },
  };
}

/** What can be done with a job. */
export function actions(job) {
  let now = job;
  const change = (verb, body, question, yes) => async (event) => {
    if (question && !(await confirm(question(now), yes))) return;
    event.target.disabled = true;
    try {
      const done = await post(`/jobs/${now.job_id}/${verb}`, body);
      tell(verb === 'retry' ? `${count(done.items)} items of ${now.name} are queued again` : `${now.name}: ${verb === 'resume' ? 'goes on' : verb === 'pause' ? 'paused' : 'cancelled'}`);
    } catch (error) { tell(error.message, true); }
    event.target.disabled = false;
  };
  const button = (text, what, onclick) => h('button', { type: 'button', onclick, 'data-what': what }, text, h('span.hidden', null, ` ${now.name}`));
  const pause = button('Pause', 'pause', change('pause'));
  const resume = button('Resume', 'resume', change('resume'));
  const retry = button('Retry failed', 'retry', change('retry'));
  const cancel = button('Cancel', 'cancel', change('cancel', null, (job) => `Cancel ${job.name}? ${count(job.items - ended(job))} items would not be answered.`, 'Cancel it'));
  const save = button('Parquet', 'download', () => download(`/jobs/${now.job_id}/results.parquet`, `${now.job_id}.parquet`).catch((error) => tell(error.message, true)));
  return {
    element: h('div.buttons', null, pause, resume, retry, cancel, save),
    update(job) {
      now = job;
      const over = Boolean(job.finished_at);
      pause.hidden = over || job.paused;
      resume.hidden = over || !(job.paused || job.counts.held);
      cancel.hidden = over;
      retry.hidden = !lost(job);
      save.hidden = !ended(job);
    },
  };
}

export const stateWord = (job) => (job.paused && !job.finished_at ? 'paused' : job.state.replace('_', ' '));
export const stateKind = (job) => (job.state === 'completed' ? (lost(job) ? 'warn' : 'good') : ['failed', 'expired'].includes(job.state) ? 'bad' : job.paused ? 'warn' : '');

function row(job) {
  const name = h('a.job', { href: `/jobs/${job.job_id}` }, h('bdi', null, job.name));
  const state = h('span.state'), done = h('td.num'), failed = h('td.num'), cost = h('td.num'), due = h('td'), wait = h('small');
  const bar = stateBar(), buttons = actions(job);
  const heads = (element, head) => { element.dataset.head = head; return element; };
  const element = h('tr', null,
    h('th', { scope: 'row' }, name, h('small', null, job.job_id)),
    heads(h('td.wide', null, bar.element, h('div.under', null, state, wait)), 'State'),
    heads(done, 'Done'), heads(failed, 'Failed'), heads(cost, 'Spent / cap'), heads(due, 'Deadline'), h('td.do', null, buttons.element));
  return {
    element,
    update(job) {
      bar.update(job);
      buttons.update(job);
      say(state, stateWord(job));
      state.className = `state ${stateKind(job)}`;
      say(wait, job.paused ? '' : waiting(job));
      say(done, `${short(ended(job))} / ${short(job.items)}  ${percent(ended(job), job.items)}`);
      say(failed, count(lost(job)));
      failed.className = lost(job) ? 'num bad' : 'num zero';
      say(cost, `${usd(job.cost_usd)} / ${job.max_cost_usd == null ? '–' : usd(job.max_cost_usd)}`);
      const stand = standing(job);
      say(due, stand.words);
      due.className = `due ${stand.kind}`;
    },
  };
}

const SHOWS = {
  all: ['All', () => true],
  open: ['Not over', (job) => !job.finished_at],
  risk: ['Late or at risk', (job) => !job.finished_at && ['bad', 'warn'].includes(standing(job).kind)],
  failed: ['With failures', (job) => lost(job) > 0],
};

export function jobTable() {
  let jobs = [], page = 0, show = 'all', words = '';
  const body = h('tbody');
  const pager = h('div.pager');
  const changed = () => { page = 0; draw(); };
  const search = h('input', { type: 'search', id: 'job-search', placeholder: 'name, id or tag', 'aria-label': 'Find jobs', oninput: () => { words = search.value.trim().toLowerCase(); changed(); } });
  const choice = h('select', { 'aria-label': 'Which jobs', onchange: () => { show = choice.value; changed(); } },
    Object.entries(SHOWS).map(([key, [name]]) => h('option', { value: key }, name)));
  const heads = [['Job'], ['State'], ['Done', 1], ['Failed', 1], ['Spent / cap', 1], ['Deadline'], ['Actions']];

  function draw() {
    const meant = (job) => SHOWS[show][1](job) && (!words || [job.name, job.job_id, ...Object.entries(job.tags).flat()].some((text) => text.toLowerCase().includes(words)));
    const found = jobs.filter(meant).sort((a, b) => Boolean(a.finished_at) - Boolean(b.finished_at) || (a.submitted_at < b.submitted_at ? 1 : a.submitted_at > b.submitted_at ? -1 : a.job_id < b.job_id ? 1 : -1));
    page = Math.min(page, Math.max(0, Math.ceil(found.length / PAGE) - 1));
    keep(body, found.slice(page * PAGE, (page + 1) * PAGE), (job) => job.job_id, row);
    pages(pager, page, found.length, PAGE, (to) => { page = to; draw(); });
  }

  return {
    element: h('div', null, h('div.tools', null, search, choice),
      h('table.cards', null, h('caption.hidden', null, 'Jobs'), h('thead', null, h('tr', null, heads.map(([head, num]) => h(num ? 'th.num' : 'th', { scope: 'col' }, head)))), body), pager),
    update(now) { jobs = now; draw(); },
  };
}

/** Forward and back in a long list. */
export function pages(place, page, all, size, go) {
  const last = Math.max(0, Math.ceil(all / size) - 1);
  const key = `${page} ${all}`;
  if (place.dataset.key === key) return;
  const held = place.contains(document.activeElement) ? document.activeElement.dataset.to : null;
  place.dataset.key = key;
  if (last === 0) return void fill(place, h('span.muted', null, all ? `${count(all)} in all` : 'none'));
  const button = (text, name, to, off) => h('button', { type: 'button', 'aria-label': name, 'data-to': name, disabled: off, onclick: () => go(to) }, text);
  fill(place, button('«', 'First page', 0, !page), button('‹', 'Page before', page - 1, !page),
    h('span', null, `${count(page * size + 1)}–${count(Math.min(all, (page + 1) * size))} of ${count(all)}`),
    button('›', 'Next page', page + 1, page === last), button('»', 'Last page', last, page === last));
  if (held) [...place.children].find((one) => one.dataset.to === held)?.focus();
}
