// Elements made of safe texts. Whatever users and providers wrote comes into the page through `text`,
// as a text node: it is never read as markup, and marks that hide or turn text are shown instead.

const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|\udb40[\udc00-\udc7f]/g;
const NAMES = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function shown(mark) {
  const code = mark.codePointAt(0);
  return NAMES[mark] ?? (code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`);
}

/** Text of others on one line. */
export function safe(text) {
  return String(text ?? '').replace(UNSAFE, shown);
}

/** The same with its line breaks and tabs. */
export function block(text) {
  return String(text ?? '').replace(/\r\n/g, '\n').replace(UNSAFE, (mark) => (mark === '\n' || mark === '\t' ? mark : shown(mark)));
}

/** An element: `h('a.name', { href: '/', onclick }, 'text', child)`. */
export function h(what, props, ...children) {
  const [tag, ...classes] = what.split('.');
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(' ');
  set(element, props);
  put(element, children);
  return element;
}

function set(element, props) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value == null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'style') for (const [key, of] of Object.entries(value)) element.style.setProperty(key, of);
    else element.setAttribute(name, value === true ? '' : value);
  }
}

function put(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child == null || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(safe(child)));
  }
}

/** Replaces what is in an element. */
export function fill(element, ...children) {
  element.textContent = '';
  put(element, children);
  return element;
}

/** A text that changes: touched only when it does, so that a selection in it holds. */
export function say(element, text) {
  const now = safe(text);
  if (element.textContent !== now) element.textContent = now;
}

/** Rows known by a key: made once, brought up to date, put in order. */
export function keep(parent, items, key, make) {
  const known = (parent.known ??= new Map());
  const seen = new Set();
  let place = parent.firstChild;
  for (const item of items) {
    const id = key(item);
    seen.add(id);
    let row = known.get(id);
    if (!row) known.set(id, (row = make(item)));
    row.update(item);
    if (row.element === place) place = place.nextSibling;
    else parent.insertBefore(row.element, place);
  }
  for (const [id, row] of known) {
    if (seen.has(id)) continue;
    row.element.remove();
    known.delete(id);
  }
}

/** Asks before something that cannot be undone; true where it is wanted. */
export function confirm(question, yes) {
  return new Promise((done) => {
    const end = (answer) => () => { dialog.close(); dialog.remove(); done(answer); };
    const dialog = h('dialog.ask', { 'aria-labelledby': 'question', oncancel: end(false) },
      h('p', { id: 'question' }, question),
      h('div.buttons', null,
        h('button', { type: 'button', onclick: end(false) }, 'No'),
        h('button.strong', { type: 'button', onclick: end(true) }, yes)));
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Says something for a moment, to everybody. */
export function tell(text, bad) {
  const said = document.getElementById('said');
  const line = h(bad ? 'p.bad' : 'p', null, text);
  said.append(line);
  setTimeout(() => line.remove(), 6000);
}
