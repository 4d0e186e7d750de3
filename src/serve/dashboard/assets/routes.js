// The routes at work: what is on its way, and how much of their limits the last minute used.

import { fill, h } from '/assets/dom.js';
import { count, moment, percent, short } from '/assets/words.js';

const WORDS = { requests: 'requests', tokens: 'tokens', input_tokens: 'tokens in', output_tokens: 'tokens out' };

export function drawRoutes(place, dispatch) {
  const routes = dispatch?.routes ?? [];
  if (!routes.length) return void fill(place);
  fill(place, h('h3', { id: 'routes-title' }, 'Rate limits'), h('table', { 'aria-labelledby': 'routes-title' },
    h('thead', null, h('tr', null, h('th', { scope: 'col' }, 'Route'), h('th.num', { scope: 'col' }, 'Calls on their way'), h('th', { scope: 'col' }, 'Last minute'), h('th.num', { scope: 'col' }, 'Headroom'), h('th', { scope: 'col' }, 'Now'))),
    h('tbody', null, routes.map(row))));
}

function row(route) {
  const limits = route.limits.map((one) => ({ ...one, share: Math.min(1, one.used / Math.max(1, one.limit)) }));
  const calls = route.in_flight / Math.max(1, route.calls_at_most);
  const fullest = Math.max(calls, ...limits.map((one) => one.share));
  const paused = route.paused_until && `paused until ${moment(route.paused_until, true)}`;
  return h('tr', null, h('th', { scope: 'row' }, h('bdi', null, route.route)),
    h('td.num', null, `${count(route.in_flight)} of ${count(route.calls_at_most)}`),
    h('td', null, limits.length ? h('ul.limits', null, limits.map((one) => limit(one, route.route))) : h('span.muted', null, 'no limit is known')),
    h('td.num', { class: `num ${fullest > 0.9 ? 'warn' : ''}` }, percent(1 - Math.min(1, fullest), 1)),
    h('td', { class: route.trouble ? 'bad' : 'muted' }, route.trouble ?? paused ?? (route.in_flight ? 'sending' : 'idle')));
}

function limit(one, route) {
  const whose = [one.of !== route && ` of all ${one.of} takes`, one.learned && ' stated by the provider'];
  return h('li', null,
    h('span.meter', { 'aria-hidden': 'true' }, h('i', { style: { width: `${100 * one.share}%` } })),
    h('span', null, `${short(one.used)} of ${short(one.limit)} ${WORDS[one.counts] ?? one.counts}`, h('small', null, whose.filter(Boolean))));
}
