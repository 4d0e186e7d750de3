// Numbers, money, spans and times as people read them, the same as in the terminal.

const whole = new Intl.NumberFormat('en-US');
const clock = new Intl.DateTimeFormat([], { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const precise = new Intl.DateTimeFormat([], { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
const dated = new Intl.DateTimeFormat('en-GB', { weekday: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const far = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });

export const count = (n) => whole.format(n ?? 0);
export const ms = (at) => (at ? Date.parse(at) : null);

export function short(n) {
  for (const [size, word] of [[1e9, 'B'], [1e6, 'M'], [1e4, 'k']]) if (n >= size) return (n / (size === 1e4 ? 1e3 : size)).toFixed(n >= size * 100 || size === 1e4 ? 0 : 1) + word;
  return count(Math.round(n ?? 0));
}

export function usd(amount) {
  if (amount == null) return '–';
  const size = Math.abs(amount);
  if (size === 0 || size >= 0.01) return (amount < 0 ? '-$' : '$') + size.toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  return '$' + amount.toPrecision(2).replace(/e.*/, '').replace(/(\.\d*?)0+$/, '$1') + (size < 1e-6 ? 'e' + Math.floor(Math.log10(size)) : '');
}

export function percent(part, all) {
  if (!all) return '–';
  const share = (100 * part) / all;
  return share > 0 && share < 10 ? `${share.toFixed(1)}%` : `${Math.floor(share)}%`;
}

/** 1h48m */
export function span(milliseconds) {
  const minutes = Math.round(Math.abs(milliseconds) / 60000);
  if (minutes < 1) return `${Math.round(Math.abs(milliseconds) / 1000)}s`;
  if (minutes < 60) return `${minutes}m`;
  if (minutes < 48 * 60) return minutes % 60 ? `${Math.floor(minutes / 60)}h${String(minutes % 60).padStart(2, '0')}m` : `${minutes / 60}h`;
  return `${Math.round(minutes / 1440)} days`;
}

/** A moment: the hour today, the weekday this week, else the date. */
export function moment(at, seconds) {
  const date = new Date(at), away = Math.abs(date - Date.now());
  if (date.toDateString() === new Date().toDateString()) return (seconds ? precise : clock).format(date);
  return (away < 6 * 86400000 ? dated : far).format(date);
}

export const exact = (at) => precise.format(new Date(at));

export function latency(n) {
  if (n == null) return '–';
  return n < 1000 ? `${n}ms` : n < 10000 ? `${(n / 1000).toFixed(1)}s` : span(n);
}

export const ended = (job) => job.counts.succeeded + job.counts.failed + job.counts.expired + job.counts.cancelled;
export const lost = (job) => job.counts.failed + job.counts.expired;

/** How a job stands with its deadline: what to say of it, and how bad it is. */
export function standing(job, now = Date.now()) {
  const deadline = ms(job.deadline_at), eta = ms(job.eta), finished = ms(job.finished_at);
  if (!deadline) return { words: eta && !finished ? `ETA ${moment(eta)}` : '–', kind: '' };
  if (finished) {
    if (!job.counts.expired && finished <= deadline) return { words: `met, ${span(deadline - finished)} early`, kind: 'good' };
    return { words: finished > deadline ? `missed by ${span(finished - deadline)}` : 'missed', kind: 'bad' };
  }
  if (now > deadline) return { words: `${moment(deadline)}, late by ${span(now - deadline)}`, kind: 'bad' };
  if (eta && eta > deadline) return { words: `${moment(deadline)}, at risk: needs ${span(eta - now)}, has ${span(deadline - now)}`, kind: 'warn' };
  if (eta) return { words: `${moment(deadline)}, on track, ${span(deadline - eta)} early`, kind: 'good' };
  return { words: moment(deadline), kind: '' };
}

/** What most of its items wait for. */
export function waiting(job) {
  if (job.finished_at) return '';
  if (job.paused) return 'paused';
  const [reason] = Object.entries(job.waiting).sort((a, b) => b[1] - a[1])[0] ?? [];
  const words = [reason, job.waiting_for].filter(Boolean).join(': ');
  return words || (job.counts.held ? 'held: an outcome is unknown' : '');
}

export const reasons = (counts) => Object.entries(counts).sort((a, b) => b[1] - a[1]).map(([word, n]) => `${word} ${count(n)}`).join(' · ');
