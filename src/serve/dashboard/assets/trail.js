// One item: what was asked, every attempt, what came of it.

import { get } from '/assets/api.js';
import { block, fill, h } from '/assets/dom.js';
import { latency, moment, usd } from '/assets/words.js';

const MOST = 20000;

/** Text of others, whole lines, cut where it would be too long to show. */
function quote(title, text) {
  if (text == null) return null;
  if (text === '') return [h('h4', null, title), h('p.muted', null, 'nothing: the text is empty')];
  const cut = text.length > MOST ? `${text.slice(0, MOST)}\n… ${text.length - MOST} more characters` : text;
  const pre = h('pre', { tabindex: '0', role: 'group', dir: 'auto', 'aria-label': title });
  pre.textContent = block(cut);
  return [h('h4', null, title), pre];
}

/** A prompt as a person reads it: its messages, else its JSON. */
function prompts(json) {
  if (json == null) return h('p.muted', null, 'The prompt was removed.');
  try {
    const body = JSON.parse(json);
    const texts = (body.messages ?? []).map((message) => quote(message.role, typeof message.content === 'string' ? message.content : JSON.stringify(message.content, null, 1)));
    if (texts.length) return texts;
  } catch { /* shown as it is */ }
  return quote('prompt', json);
}

function attempts(show) {
  if (!show.attempts.length) return h('p.muted', null, 'No attempt is written yet.');
  return h('ol.trail', null, show.attempts.map((one) => h('li', null,
    h('span.step', null, `step ${one.step}`),
    h('div', null,
      h('b', null, `${one.provider}/${one.request_model}`), h('span.muted', null, ` ${one.lane} · ${one.price_window} · ${moment(one.started_at, true)}`),
      h('div', { class: one.status === 'succeeded' ? 'good' : 'bad' }, [one.status, one.error_code, one.check_message ?? one.error_message].filter(Boolean).join(': '))),
    h('span.num', null, latency(one.duration_ms), h('small', null, usd(one.cost_nano_usd / 1e9))))));
}

/** A failure, short. */
export function sample(show) {
  const result = show.result;
  return h('article.sample', null,
    h('h3', null, h('bdi', null, show.custom_id), h('small.muted', null, ` ${show.job_id}`)),
    h('p.bad', null, result?.error_message ?? result?.error_code ?? show.state),
    prompts(show.prompt), quote('last answer, not accepted', result?.output_text));
}

/** Opens an item over the page. */
export async function openItem(job, item) {
  const inside = h('div', null, h('p.muted', null, 'looking…'));
  const close = () => { dialog.close(); dialog.remove(); };
  const dialog = h('dialog.item', { 'aria-labelledby': 'item-title', oncancel: close, onclick: (event) => event.target === dialog && close() },
    h('header', null, h('h2', { id: 'item-title' }, h('bdi', null, item)), h('button', { type: 'button', onclick: close }, 'Close')), inside);
  document.body.append(dialog);
  dialog.showModal();
  try {
    const show = await get(`/jobs/${job}/items/${encodeURIComponent(item)}`);
    const result = show.result;
    fill(inside,
      h('p', null, h('span.state', { class: `state ${show.state === 'succeeded' ? 'good' : 'bad'}` }, show.state), ' ', result?.error_message ?? ''),
      h('h3', null, 'Attempts'), attempts(show),
      h('h3', null, 'Prompt'), prompts(show.prompt),
      result?.output_text == null ? null : [h('h3', null, 'Answer'), quote(show.state === 'succeeded' ? 'accepted' : 'not accepted', result.output_text)]);
  } catch (error) { fill(inside, h('p.bad', null, error.message)); }
}
