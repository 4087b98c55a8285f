// The panels of the dashboards, as Grafana would show them, from the samples of
// the last minutes.

import {get} from './api.js';
import {el, byId, options, text} from './dom.js';
import {show} from './format.js';
import {Chart, beginning} from './chart.js';

const EVERY = 5000;
const LEAST = 24; // values of a chart, two minutes

export class Panels {
  constructor() {
    this.charts = [];
    this.services = [];
    byId('panels-service').addEventListener('change', () => { this.revisions(); this.load(); });
    byId('panels-revision').addEventListener('change', () => this.load());
    document.addEventListener('visibilitychange', () => document.hidden || !this.open || this.load());
  }

  know(services) {
    this.services = services;
    options(byId('panels-service'), [['', 'all'], ...services.map((s) => [`${s.namespace}/${s.name}`, s.name])]);
    this.revisions();
  }

  revisions() {
    const service = this.services.find((s) => `${s.namespace}/${s.name}` === byId('panels-service').value);
    options(byId('panels-revision'), [['', 'all'], ...(service?.revisions ?? []).map((r) => [r.name, r.name])]);
  }

  async show_() {
    this.open = true;
    clearInterval(this.timer);
    this.timer = setInterval(() => document.hidden || this.load(), EVERY);
    if (!this.dashboards) {
      try {
        this.dashboards = await get('/api/dashboards');
      } catch {
        return; // the banner says so
      }
      byId('dashboards').append(...this.dashboards.map((d) => el('button', {type: 'button', 'aria-pressed': 'false', onclick: () => this.choose(d)}, d.title)));
      this.choose(this.dashboards[0]);
      return;
    }
    this.load();
  }

  hide() {
    this.open = false;
    clearInterval(this.timer);
  }

  choose(dashboard) {
    this.chosen = dashboard;
    [...byId('dashboards').children].forEach((b) => b.setAttribute('aria-pressed', b.textContent === dashboard.title));
    text(byId('dashboard-text'), dashboard.text);
    byId('panels-revision-label').hidden = dashboard.byService;
    this.charts.forEach((c) => c.gone?.());
    this.charts = [];
    byId('rows').replaceChildren();
    this.load();
  }

  async load() {
    if (!this.chosen || !this.open) return;
    const chosen = this.chosen;
    const [namespace, service] = byId('panels-service').value.split('/');
    const scope = new URLSearchParams(service ? {namespace, service, revision: chosen.byService ? '' : byId('panels-revision').value} : {});
    let found;
    try {
      found = await get(`/api/dashboards/${chosen.uid}?${scope}`);
    } catch {
      return;
    }
    if (chosen !== this.chosen) return;
    if (!this.charts.length) this.lay(found);
    found.rows.flatMap((r) => r.panels).forEach((p, i) => this.charts[i].show(found.times, p));
  }

  lay(found) {
    byId('rows').replaceChildren(...found.rows.map((row) => el('section', {class: 'panel-row', 'aria-label': row.title},
      el('h2', {}, row.title),
      el('div', {class: `panel-grid ${row.panels.every((p) => p.kind === 'stat') ? 'stats' : ''}`}, ...row.panels.map((p) => {
        const one = p.local ? (p.kind === 'stat' ? stat(p) : graph(p)) : absent(p);
        this.charts.push(one);
        return one.node;
      })))));
  }
}

const queries = (p) => el('details', {}, el('summary', {}, 'Query'), el('pre', {}, p.queries.join('\n\n')));

const about = (p) => (p.text ? el('p', {class: 'text'}, p.text) : null);

function stat(p) {
  const value = el('p', {class: 'value'});
  return {
    node: el('section', {class: 'card panel', 'aria-label': p.title}, el('h3', {}, p.title), value, about(p), queries(p)),
    show(_, {series, unit}) {
      const now = series[0]?.values.at(-1);
      text(value, now == null ? 'none' : show(now, unit));
      value.classList.toggle('none', now == null);
    },
  };
}

function graph(p) {
  const chart = new Chart(p.title, {kind: p.kind === 'stacked' ? 'stacked' : p.unit === 'number' && /pod/i.test(p.title) ? 'step' : 'graph', unit: p.unit, height: 150});
  return {
    node: el('section', {class: 'card panel'}, chart.node, about(p), queries(p)),
    show(times, {series}) {
      const from = beginning(times, series.map((s) => s.values), LEAST);
      chart.draw(times.slice(from), series.map((s) => ({...s, values: s.values.slice(from)})));
    },
    gone: () => chart.gone(),
  };
}

// absent is a panel that the box itself has no numbers for.
const absent = (p) => ({
  node: el('section', {class: 'card panel', 'aria-label': p.title}, el('h3', {}, p.title), el('div', {class: 'needs'}, 'needs Prometheus, which asks the kubelet'), queries(p)),
  show: () => {},
});
