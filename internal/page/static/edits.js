// The edit timeline: a bar for each save, cut into its phases.

import {el, keyed, byId, text} from './dom.js';
import {took, clock} from './format.js';

const PHASES = ['notice', 'build', 'push', 'pod', 'switch'];
const color = (phase) => `p-${PHASES.includes(phase) ? phase : 'else'}`;
const marks = {live: '✓', failed: '✗', 'does not compile': '✗', building: '…', starting: '…', superseded: '·', stopped: '·'};

const legend = byId('edits-legend');
legend.append(...PHASES.map((p) => el('span', {}, el('i', {class: color(p)}), p)));

const none = el('li', {class: 'empty'}, 'No edit yet. Save a file of a service that ', el('code', {}, 'devbox up'), ' watches.');

export function showEdits(edits) {
  const list = byId('edits');
  const most = Math.max(1, ...edits.map((e) => e.duration));
  none.remove();
  keyed(list, edits, (e) => e.id, () => new Edit());
  list.kept.forEach((one) => one.scale(most));
  if (!edits.length) list.append(none);
}

class Edit {
  constructor() {
    this.mark = el('span', {class: 'mark', 'aria-hidden': 'true'});
    this.what = el('span', {class: 'what'});
    this.file = el('span', {class: 'file mono'});
    this.took = el('span', {class: 'took'});
    this.time = el('time');
    this.bar = el('div', {class: 'phases', role: 'img'});
    this.words = el('pre', {tabindex: '0', hidden: true});
    this.hint = el('p', {class: 'hint', hidden: true});
    this.node = el('li', {}, el('div', {class: 'head'}, this.mark, this.what, this.file, this.took, this.time), this.bar, this.words, this.hint);
  }

  update(e) {
    this.edit = e;
    const bad = e.outcome === 'failed' || e.outcome === 'does not compile';
    this.node.className = `edit ${e.outcome === 'live' ? 'live' : bad ? 'bad' : ''}`;
    text(this.mark, marks[e.outcome] ?? '·');
    const name = e.revision || e.service;
    text(this.what, e.outcome === 'live' ? name : `${name} ${e.outcome}`);
    const files = e.files ?? [];
    text(this.file, files.length ? `${files[0].split('/').pop()}${files.length > 1 ? ` +${files.length - 1}` : ''}` : '');
    this.file.title = files.join('\n');
    text(this.took, e.duration ? took(e.duration) : '');
    text(this.time, clock(e.began));
    // Kubernetes takes the log's end into the reason too.
    const words = [e.log?.length ? e.error?.split('\n')[0] : e.error, ...(e.log ?? []).map((l) => `| ${l}`)].filter(Boolean).join('\n');
    this.words.hidden = !words;
    text(this.words, words);
    this.hint.hidden = !e.hint;
    text(this.hint, e.hint ?? '');
    const phases = e.phases ?? [];
    this.bar.hidden = !phases.length;
    this.bar.setAttribute('aria-label', phases.map((p) => `${p.name} ${took(p.duration)}`).join(', '));
    this.bar.title = phases.map((p) => `${p.name} ${took(p.duration)}`).join('\n');
    while (this.bar.children.length > phases.length) this.bar.lastChild.remove();
    while (this.bar.children.length < phases.length) this.bar.append(el('span'));
    phases.forEach((p, i) => (this.bar.children[i].className = color(p.name)));
  }

  // scale makes the bar as long as its time is beside the longest.
  scale(most) {
    (this.edit.phases ?? []).forEach((p, i) => (this.bar.children[i].style.width = `${(100 * p.duration) / most}%`));
  }
}
