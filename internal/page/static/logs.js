// What the pods write, a line each, behind the revision and the pod.

import {stream} from './api.js';
import {el, byId, options, text} from './dom.js';
import {short} from './format.js';

const MOST = 2000; // lines that are kept

export class Logs {
  constructor() {
    this.lines = [];
    this.pane = byId('lines');
    this.colors = new Map(); // by revision
    byId('logs-service').addEventListener('change', () => this.begin());
    byId('logs-revision').addEventListener('change', () => this.sift());
    byId('logs-filter').addEventListener('input', () => this.sift());
    byId('logs-follow').addEventListener('change', () => this.toEnd());
    this.pane.addEventListener('wheel', (e) => e.deltaY < 0 && (byId('logs-follow').checked = false), {passive: true});
  }

  know(services) {
    options(byId('logs-service'), [['', 'all'], ...services.map((s) => [s.name, s.name])]);
    options(byId('logs-revision'), [['', 'all'], ...services.flatMap((s) => s.revisions).map((r) => [r.name, r.name])]);
  }

  here(is) {
    const back = is && this.away;
    this.away = !is;
    if (back && this.open) this.begin();
  }

  show_() {
    this.open = true;
    this.begin();
  }

  hide() {
    this.open = false;
    this.reading?.abort();
  }

  // begin reads from the beginning, again where the stream ends.
  async begin() {
    this.reading?.abort();
    const reading = (this.reading = new AbortController());
    while (this.open && !reading.signal.aborted) {
      this.lines = [];
      this.pane.replaceChildren();
      this.number();
      try {
        await stream(`/api/logs?${new URLSearchParams({service: byId('logs-service').value})}`,
          {signal: reading.signal, tell: (name, line) => this.take(line)});
      } catch { /* the banner says so, where it is not our own wish */ }
      await new Promise((again) => setTimeout(again, 1000));
    }
  }

  take(line) {
    line.node = this.draw(line);
    this.lines.push(line);
    if (this.lines.length > MOST) this.lines.shift().node.remove();
    line.node.hidden = !this.wanted(line);
    this.pane.append(line.node);
    if (!this.soon) {
      this.soon = requestAnimationFrame(() => {
        this.soon = null;
        this.number();
        this.toEnd();
      });
    }
  }

  draw(line) {
    if (!this.colors.has(line.revision)) {
      if (this.colors.size > 64) this.colors.clear();
      this.colors.set(line.revision, `c${this.colors.size % 8}`);
    }
    return el('div', {}, el('span', {class: `from ${this.colors.get(line.revision)}`, title: line.pod}, `${line.revision} ${short(line.pod)}`), el('span', {class: 'text'}, line.text));
  }

  wanted(line) {
    const [revision, words] = [byId('logs-revision').value, byId('logs-filter').value.toLowerCase()];
    return (!revision || line.revision === revision) && (!words || line.text.toLowerCase().includes(words));
  }

  sift() {
    this.lines.forEach((l) => (l.node.hidden = !this.wanted(l)));
    this.number();
    this.toEnd();
  }

  number() {
    const shown = this.lines.filter((l) => !l.node.hidden).length;
    text(byId('logs-count'), shown === this.lines.length ? `${shown} lines` : `${shown} of ${this.lines.length} lines`);
  }

  toEnd() {
    if (byId('logs-follow').checked) this.pane.scrollTop = this.pane.scrollHeight;
  }
}
