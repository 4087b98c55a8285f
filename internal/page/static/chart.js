// A chart over time, as SVG whose elements are kept and moved, so that one that
// is open for hours is as large as one that was just made.

import {el, text} from './dom.js';
import {show, clock} from './format.js';

const NS = 'http://www.w3.org/2000/svg';
const svg = (tag, attributes) => {
  const node = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes ?? {})) node.setAttribute(name, value);
  return node;
};

const LEFT = 38, RIGHT = 6, TOP = 6, BOTTOM = 16;

// ceiling is the next round number, for the axis. What is counted has a whole
// number in the middle.
function ceiling(n, unit) {
  if (unit === 'percent' || unit === 'bool') return 1;
  if (unit === 'number' && n <= 10) return Math.max(2, 2 * Math.ceil(n / 2));
  if (!(n > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(n));
  return [1, 2, 4, 6, 8, 10, 20].map((m) => m * power).find((m) => m >= n);
}

export class Chart {
  // kind is graph, stacked or step; a title is said above it.
  constructor(title, {kind = 'graph', unit = 'number', height = 110, filled = false} = {}) {
    Object.assign(this, {title, kind, unit, height, filled, times: [], series: [], lines: []});
    this.heading = el('span', {}, title);
    this.keys = el('div', {class: 'keys'});
    this.caption = el('figcaption', {}, this.heading, this.keys);
    this.svg = svg('svg', {role: 'img', height});
    this.grid = [0, 1, 2].map(() => [svg('line', {class: 'grid'}), svg('text', {'text-anchor': 'end'})]);
    this.begin = svg('text', {'text-anchor': 'start'});
    this.end = svg('text', {'text-anchor': 'end'});
    this.none = svg('text', {class: 'none'});
    this.cursor = svg('line', {class: 'cursor', visibility: 'hidden'});
    this.svg.append(...this.grid.flat(), this.begin, this.end, this.none, this.cursor);
    this.node = el('figure', {class: `chart ${kind}`}, this.caption, this.svg);
    this.at = null;
    this.svg.addEventListener('pointermove', (e) => this.point(e.offsetX));
    this.svg.addEventListener('pointerleave', () => this.point(null));
    this.size = new ResizeObserver(() => this.redraw());
    this.size.observe(this.svg);
  }

  gone() { this.size.disconnect(); }

  // draw shows series of {name, values}, a value a time; null is none.
  draw(times, series) {
    this.times = times;
    this.series = series;
    this.redraw();
  }

  redraw() {
    const width = this.svg.clientWidth;
    if (!width) return;
    this.width = width;
    const stacked = this.kind === 'stacked' ? stack(this.series) : this.series.map((s) => ({low: null, high: s.values}));
    const all = stacked.flatMap((s) => s.high.filter((v) => v != null));
    const least = Math.min(0, ...all);
    const top = ceiling(Math.max(0, ...all), this.unit);
    const floor = least < 0 ? -ceiling(-least, this.unit) : 0;
    const inner = this.height - TOP - BOTTOM;
    const [from, to] = [this.times[0] ?? 0, this.times.at(-1) ?? 1];
    this.x = (t) => LEFT + ((t - from) / Math.max(1, to - from)) * (width - LEFT - RIGHT);
    const y = (v) => TOP + inner * (1 - (v - floor) / (top - floor));
    this.svg.setAttribute('viewBox', `0 0 ${width} ${this.height}`);
    this.grid.forEach(([line, label], i) => {
      const v = floor < 0 ? [floor, 0, top][i] : (top * i) / 2;
      set(line, {x1: LEFT, x2: width - RIGHT, y1: y(v), y2: y(v)});
      set(label, {x: LEFT - 5, y: y(v) + 3.5});
      text(label, axis(v, this.unit));
    });
    set(this.begin, {x: LEFT, y: this.height - 3});
    set(this.end, {x: width - RIGHT, y: this.height - 3});
    text(this.begin, this.times.length ? `${Math.round((to - from) / 60000)} min ago` : '');
    text(this.end, this.times.length ? 'now' : '');
    const empty = !this.series.some((s) => s.values.some((v) => v != null));
    set(this.none, {x: LEFT + (width - LEFT - RIGHT) / 2, y: TOP + inner / 2 + 4});
    text(this.none, empty ? 'nothing yet' : '');
    this.paths(stacked, y);
    this.say();
  }

  paths(stacked, y) {
    while (this.lines.length > stacked.length) this.lines.pop().forEach((p) => p.remove());
    while (this.lines.length < stacked.length) {
      const c = `c${this.lines.length % 8}`;
      const pair = [svg('path', {class: `area ${c}`}), svg('path', {class: c})];
      this.svg.insertBefore(pair[0], this.cursor);
      this.svg.insertBefore(pair[1], this.cursor);
      this.lines.push(pair);
    }
    stacked.forEach(({low, high}, i) => {
      const [area, line] = this.lines[i];
      const filled = this.kind === 'stacked' || (this.filled && i === 0);
      line.setAttribute('d', this.line(high, y));
      area.setAttribute('d', filled ? this.area(low, high, y) : '');
    });
  }

  // runs are the stretches of times that have a value.
  runs(values) {
    const runs = [];
    let run = null;
    values.forEach((v, i) => {
      if (v == null) run = null;
      else if (run) run.push(i);
      else runs.push((run = [i]));
    });
    return runs;
  }

  line(values, y) {
    const step = this.kind === 'step';
    return this.runs(values).map((run) => run.map((i, n) => {
      const [x, v] = [this.x(this.times[i]).toFixed(1), y(values[i]).toFixed(1)];
      if (n === 0) return run.length === 1 ? `M${x} ${v}h1.5` : `M${x} ${v}`;
      return step ? `H${x}V${v}` : `L${x} ${v}`;
    }).join('')).join('');
  }

  area(low, high, y) {
    return this.runs(high).filter((r) => r.length > 1).map((run) => {
      const up = this.line(high.map((v, i) => (i >= run[0] && i <= run.at(-1) ? v : null)), y);
      const back = low
        ? run.toReversed().map((i) => `L${this.x(this.times[i]).toFixed(1)} ${y(low[i] ?? 0).toFixed(1)}`).join('')
        : `V${y(0)}H${this.x(this.times[run[0]]).toFixed(1)}`;
      return `${up}${back}Z`;
    }).join('');
  }

  // point looks at the time under the pointer; null is the last one.
  point(x) {
    if (x == null || !this.times.length) this.at = null;
    else {
      const share = (x - LEFT) / Math.max(1, this.width - LEFT - RIGHT);
      this.at = Math.min(this.times.length - 1, Math.max(0, Math.round(share * (this.times.length - 1))));
    }
    this.say();
  }

  // say writes the values beside their names, and in words for who cannot see.
  say() {
    const i = this.at ?? this.times.length - 1;
    const x = this.at == null || !this.x ? 0 : this.x(this.times[i]);
    set(this.cursor, {visibility: this.at == null ? 'hidden' : 'visible', x1: x, x2: x, y1: TOP, y2: this.height - BOTTOM});
    text(this.heading, this.at == null ? this.title : `${this.title}, ${clock(this.times[i])}`);
    const keys = this.series.slice(0, 8).map((s) => [s.name, show(s.values[i], this.unit)]);
    while (this.keys.children.length > keys.length) this.keys.lastChild.remove();
    keys.forEach(([name, value], n) => {
      let key = this.keys.children[n];
      if (!key) this.keys.append((key = el('span', {class: `key c${n % 8}`}, el('span'), el('b'))));
      text(key.firstChild, name);
      text(key.lastChild, value);
    });
    this.svg.setAttribute('aria-label', `${this.title}, now: ${keys.map(([name, value]) => `${name} ${value}`).join(', ') || 'nothing yet'}`);
  }
}

function set(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
}

const axis = (v, unit) => (unit === 'percent' ? `${v * 100}%` : unit === 'bool' ? (v === 1 ? 'on' : v === 0 ? 'off' : '') : unit === 'ops' ? show(v, 'number') : show(v, unit).replace(' ', '\u200a'));

// beginning is where to begin to draw: at the first value of any of the lists,
// and no later than makes a chart of least times.
export function beginning(times, lists, least) {
  const first = times.findIndex((_, i) => lists.some((values) => values[i] != null));
  return Math.max(0, Math.min(first < 0 ? Infinity : first, times.length - least));
}

// stack puts series one on the other.
function stack(series) {
  let low = null;
  return series.map((s) => {
    const under = low;
    const high = s.values.map((v, i) => (v == null ? (under ? under[i] : null) : v + (under?.[i] ?? 0)));
    low = high;
    return {low: under, high};
  });
}
