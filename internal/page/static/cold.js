// The last cold starts, a waterfall each.

import {el, keyed, byId, text} from './dom.js';
import {clock, show} from './format.js';

const COLORS = {decided: 'p-notice', created: 'p-else', sandbox: 'p-pod', started: 'p-build', listening: 'p-push', first_byte: 'p-switch'};

const none = el('li', {class: 'empty'}, 'None seen since this page’s server began.');
byId('cold').append(none);

export function showCold(starts) {
  const list = byId('cold');
  none.remove();
  keyed(list, starts, (c) => `${c.at} ${c.service} ${c.revision}`, (c) => ({node: fall(c)}));
  if (!starts.length) list.append(none);
}

// fall is one cold start. What is none of the parts is the whole.
function fall(c) {
  const parts = c.phases.filter((p) => COLORS[p.name]);
  const whole = c.phases.find((p) => !COLORS[p.name]);
  const sum = parts.reduce((n, p) => n + p.took, 0);
  const most = Math.max(sum, whole?.took ?? 0, 0.001);
  let at = 0;
  const rows = parts.flatMap((p) => {
    const bar = el('span', {class: COLORS[p.name]});
    bar.style.left = `${(100 * at) / most}%`;
    bar.style.width = `${(100 * p.took) / most}%`;
    at += p.took;
    return [el('dt', {}, p.name.replace('_', ' ')), el('dd', {class: 'track', 'aria-hidden': 'true'}, bar), el('dd', {class: 'n'}, show(p.took, 'ms'))];
  });
  return el('li', {class: 'cold'},
    el('div', {class: 'head'}, el('span', {class: 'what'}, c.revision),
      c.count > 1 ? el('span', {class: 'dim'}, `mean of ${c.count}`) : null,
      el('span', {class: 'took'}, show(most, 'ms')), el('time', {}, clock(c.at))),
    el('dl', {class: 'falls'}, ...rows));
}
