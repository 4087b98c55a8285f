// Elements, made and kept. All text goes in as text, never as markup.

// el makes an element: el('p', {class: 'dim', onclick: f}, 'text', child).
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, '');
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.filter((c) => c != null));
  return node;
}

export const byId = (id) => document.getElementById(id);

// text sets a node's text only where it differs, so that nothing is read out,
// selected or laid out anew for no reason.
export function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

// keyed makes parent's children those of items, one a key, and keeps the ones
// that are there, with their focus. make(item) returns {node, update(item)}.
export function keyed(parent, items, key, make) {
  const old = parent.kept ?? new Map();
  const kept = new Map();
  let at = parent.firstChild;
  for (const item of items) {
    const k = key(item);
    const one = old.get(k) ?? make(item);
    one.update?.(item);
    kept.set(k, one);
    if (at === one.node) at = at.nextSibling;
    else parent.insertBefore(one.node, at);
  }
  for (const [k, one] of old) {
    if (!kept.has(k)) {
      one.gone?.();
      one.node.remove();
    }
  }
  parent.kept = kept;
}

// options fills a select, and keeps what was chosen where that is still there.
export function options(select, choices) {
  const now = JSON.stringify(choices);
  if (select.dataset.choices === now) return;
  const chosen = select.value;
  select.dataset.choices = now;
  select.replaceChildren(...choices.map(([value, label]) => el('option', {value}, label)));
  if (choices.some(([value]) => value === chosen)) select.value = chosen;
}
