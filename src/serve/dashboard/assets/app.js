// What is known of the jobs, kept up to date by the events, and which page shows it.

import { follow, get, onLocked, setToken } from '/assets/api.js';
import { fill, h, say } from '/assets/dom.js';
import { homePage } from '/assets/home.js';
import { jobPage } from '/assets/job.js';

/** Everything the pages show. */
export const known = { jobs: new Map(), budgets: [], report: null, windows: null, dispatch: null, ready: false };

const REDRAW = 400;
const RELOOK = 30000;
let page = null, due = null, following = false;

function draw() {
  due = null;
  page?.update(known);
}

function soon() {
  due ??= setTimeout(draw, REDRAW);
}

function take(kind, data) {
  if (kind === 'jobs') {
    known.jobs = new Map(data.jobs.map((job) => [job.job_id, job]));
    known.budgets = data.budgets;
  } else if (kind === 'job') known.jobs.set(data.job_id, data);
  else if (kind === 'gone') known.jobs.delete(data.job_id);
  else if (kind === 'budgets') known.budgets = data;
  const first = !known.ready;
  known.ready = true;
  if (first) { clearTimeout(due); draw(); } else soon();
}

function live(state) {
  const line = document.getElementById('live');
  line.dataset.state = state;
  say(line, state === 'live' ? 'live' : 'connection lost, trying again');
}

/** What comes of rows and prices: slower, and only while somebody looks. */
async function look() {
  if (!document.hidden) {
    const asked = { report: '/report?since=48h&by=error_code,model,day&brief=true', windows: '/windows', dispatch: '/dispatch' };
    await Promise.allSettled(Object.entries(asked).map(async ([name, path]) => { known[name] = await get(path); soon(); }));
    soon();
  }
  setTimeout(look, RELOOK);
}

function show() {
  const main = document.getElementById('main');
  const job = location.pathname.match(/^\/jobs\/(job_[0-9a-z]+)$/)?.[1];
  page?.close?.();
  page = job ? jobPage(main, job) : homePage(main);
  page.update(known);
}

function begin() {
  show();
  if (following) return;
  following = true;
  follow(take, live);
  look();
}

function locked() {
  if (document.querySelector('dialog.token')) return;
  const field = h('input', { id: 'token', type: 'password', autocomplete: 'off', required: true });
  const dialog = h('dialog.ask.token', { 'aria-labelledby': 'token-title', oncancel: (event) => event.preventDefault() },
    h('form', { method: 'dialog', onsubmit: (event) => { event.preventDefault(); setToken(field.value.trim()); location.reload(); } },
      h('h2', { id: 'token-title' }, 'This daemon wants a token'),
      h('p', null, 'Make one with ', h('code', null, 'overnight token create NAME'), '. It is kept until this tab is closed.'),
      h('label', { for: 'token' }, 'Token'), field,
      h('div.buttons', null, h('button.strong', { type: 'submit' }, 'Go on'))));
  document.body.append(dialog);
  dialog.showModal();
}

// Links within the page do not load it anew.
document.addEventListener('click', (event) => {
  const link = event.target.closest?.('a[href^="/"]');
  if (!link || link.hasAttribute('download') || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  history.pushState(null, '', link.getAttribute('href'));
  show();
  window.scrollTo(0, 0);
  document.getElementById('main').focus({ preventScroll: true });
});
window.addEventListener('popstate', () => { if (!location.hash) show(); });
setInterval(soon, 15000);
onLocked(locked);
fill(document.getElementById('main'), h('p.empty', null, 'looking for jobs…'));
begin();
