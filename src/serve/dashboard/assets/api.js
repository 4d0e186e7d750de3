// Requests to the daemon this page is from, and the stream of what changes. The token is kept for as long
// as the tab is open, and sent in a header only.

const KEY = 'overnight-token';
const SILENCE = 45000;
let wanted = null;

export const token = () => sessionStorage.getItem(KEY);
export const setToken = (text) => sessionStorage.setItem(KEY, text);

/** Called when a token is missing or wrong. */
export function onLocked(callback) { wanted = callback; }

async function send(path, options = {}) {
  const headers = { ...options.headers };
  if (token()) headers.authorization = `Bearer ${token()}`;
  const answer = await fetch(path, { ...options, headers, cache: 'no-store' });
  if (answer.ok) return answer;
  if (answer.status === 401) wanted?.();
  const error = await answer.json().then((body) => body.error.message, () => `the daemon answered ${answer.status}`);
  throw new Error(error);
}

export const get = async (path) => (await send(`/api/v1${path}`)).json();

export async function post(path, body) {
  const headers = body ? { 'content-type': 'application/json' } : {};
  return (await send(`/api/v1${path}`, { method: 'POST', headers, body: body && JSON.stringify(body) })).json();
}

/** Saves a file: without a token the browser streams it; with one it has to come through here. */
export async function download(path, name) {
  const link = document.createElement('a');
  link.download = name;
  if (token()) {
    const file = await (await send(`/api/v1${path}`)).blob();
    link.href = URL.createObjectURL(file);
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  } else link.href = `/api/v1${path}`;
  link.click();
}

/** Follows the events for good: `tell(kind, data)`, `state('live' | 'lost')`. */
export async function follow(tell, state) {
  let last = null, pause = 500;
  for (;;) {
    // A connection that is dead without saying so: the daemon is never silent for so long.
    const stop = new AbortController();
    let alarm;
    const alive = () => { clearTimeout(alarm); alarm = setTimeout(() => stop.abort(), SILENCE); };
    try {
      alive();
      const answer = await send('/api/v1/events', { headers: last ? { 'last-event-id': last } : {}, signal: stop.signal });
      state('live');
      pause = 500;
      for await (const event of events(answer.body, alive)) {
        if (event.id) last = event.id;
        if (event.data) tell(event.event, JSON.parse(event.data));
      }
    } catch { /* cut off: said below, tried again */ }
    clearTimeout(alarm);
    state('lost');
    await new Promise((done) => setTimeout(done, pause));
    pause = Math.min(pause * 2, 15000);
  }
}

async function* events(body, alive) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    alive();
    text += value;
    const whole = text.split('\n\n');
    text = whole.pop();
    for (const event of whole) {
      const fields = {};
      for (const line of event.split('\n')) {
        const at = line.indexOf(': ');
        if (at > 0) fields[line.slice(0, at)] = line.slice(at + 2);
      }
      yield fields;
    }
  }
}
