// The services: traffic, revisions, what happens now, and why.

import {el, keyed, text} from './dom.js';
import {show, ago, short} from './format.js';
import {Chart, beginning} from './chart.js';
import {changeTraffic, splitTraffic, sendRequest} from './dialogs.js';

const MOST = 300; // values of a chart, ten minutes
const LEAST = 60;

export class Services {
  constructor(node) {
    this.node = node;
    this.live = new Map(); // by namespace/name: {quantity: values}
    this.times = [];
    this.rates = {};
    this.cards = new Map();
    this.empty = el('p', {class: 'card empty'}, 'There is no service yet. ', el('code', {}, 'devbox up DIRECTORY'), ' serves the main package in a directory.');
    setInterval(() => this.cards.forEach((c) => c.age()), 5000);
  }

  show(list) {
    this.list = list;
    this.empty.remove();
    keyed(this.node, list, id, (item) => {
      const card = new Card(item);
      card.gone = () => this.cards.delete(id(item));
      this.cards.set(id(item), card);
      return card;
    });
    if (!list.length) this.node.append(this.empty);
    this.allow(this.here ?? true);
    this.draw();
  }

  // allow lets a person change something, or not while the box is away.
  allow(here) {
    this.here = here;
    for (const b of this.node.querySelectorAll('button')) b.disabled = !here;
  }

  metrics(error) { this.cards.forEach((c) => c.metrics(error)); }

  history({times, services, revisions}) {
    this.times = times;
    this.live = new Map(Object.entries(services));
    this.rates = revisions;
    this.draw();
  }

  tick({times, services, revisions}) {
    const had = this.times.length;
    if (had && times[0] <= this.times[had - 1]) return; // it is in the history already
    this.times.push(times[0]);
    for (const name of new Set([...this.live.keys(), ...Object.keys(services)])) {
      const kept = this.live.get(name) ?? {};
      for (const quantity of new Set([...Object.keys(kept), ...Object.keys(services[name] ?? {})])) {
        (kept[quantity] ??= Array(had).fill(null)).push(services[name]?.[quantity]?.[0] ?? null);
      }
      this.live.set(name, kept);
    }
    const over = this.times.length - MOST;
    if (over > 0) {
      this.times.splice(0, over);
      for (const [name, kept] of this.live) {
        for (const values of Object.values(kept)) values.splice(0, over);
        if (Object.values(kept).every((values) => values.every((v) => v == null))) this.live.delete(name);
      }
    }
    this.rates = revisions;
    this.draw();
  }

  // draw shows all there is, and of a time with nothing at its begin no more
  // than makes two minutes.
  draw() {
    const from = beginning(this.times, [...this.live.values()].flatMap((kept) => Object.values(kept)), LEAST);
    const times = this.times.slice(from);
    for (const [name, card] of this.cards) {
      const live = Object.fromEntries(Object.entries(this.live.get(name) ?? {}).map(([q, values]) => [q, values.slice(from)]));
      card.draw(times, live, this.rates);
    }
  }
}

const id = (service) => `${service.namespace}/${service.name}`;

// Card is one service.
class Card {
  constructor(service) {
    this.service = service;
    this.link = el('a', {rel: 'noreferrer', target: '_blank', class: 'mono'});
    this.dot = el('span', {class: 'dot'});
    this.words = el('span');
    this.pinned = el('p', {class: 'pinned', hidden: true}, el('span'),
      el('button', {class: 'small', type: 'button', onclick: () => changeTraffic(this.service, [{percent: 100}],
        `All traffic of ${this.service.name} follows the latest ready revision again${this.service.latest ? `, which is ${this.service.latest}` : ''}.`)}, 'Follow the latest again'));
    this.charts = {
      rate: new Chart('Requests a second', {unit: 'ops', filled: true}),
      latency: new Chart('Latency', {unit: 'ms'}),
      pods: new Chart('Pods', {kind: 'step', unit: 'number', filled: true}),
    };
    this.why = el('p', {class: 'why', 'aria-live': 'polite'});
    this.body = el('tbody');
    this.older = el('p', {class: 'dim', hidden: true});
    this.node = el('section', {class: 'card service', 'aria-label': `Service ${service.name}`},
      el('header', {}, el('h2', {}, service.name), this.link,
        el('span', {class: 'actions'},
          el('button', {type: 'button', onclick: () => sendRequest(this.service)}, 'Send a request'),
          el('button', {type: 'button', onclick: () => splitTraffic(this.service)}, 'Split traffic'))),
      el('p', {class: 'state'}, this.dot, this.words),
      this.pinned,
      el('div', {class: 'trio'}, ...Object.values(this.charts).map((c) => c.node)),
      this.why,
      el('div', {class: 'scroll'}, el('table', {class: 'revisions'},
        el('thead', {}, el('tr', {}, ...['Revision', 'Traffic', 'Requests', 'Pods', 'State', 'Age', ''].map((h) => el('th', {scope: 'col', class: h === 'Requests' ? 'num rate' : h === 'Age' ? 'num' : ''}, h)))),
        this.body)),
      this.older);
    this.rows = new Map();
  }

  gone() { Object.values(this.charts).forEach((c) => c.gone()); }

  metrics(error) {
    this.node.querySelector('.trio').title = error ? `No numbers: ${error}` : '';
  }

  update(service) {
    this.service = service;
    if (service.url) this.link.href = service.url;
    else this.link.removeAttribute('href'); // no browser finds it
    text(this.link, service.url.replace('http://', '') || service.host);
    this.dot.className = `dot ${service.ready}`;
    text(this.words, service.words);
    this.pinned.hidden = !service.pinned || !service.traffic.length;
    const held = service.traffic.filter((t) => t.percent > 0).map((t) => t.revision).join(' and ');
    text(this.pinned.firstChild, `Traffic is held at ${held}: new revisions get none.`);
    keyed(this.body, service.revisions, (r) => r.name, (r) => {
      const row = new Row(r, () => this.service);
      this.rows.set(r.name, row);
      row.gone = () => this.rows.delete(r.name);
      return row;
    });
    this.older.hidden = !service.older;
    text(this.older, `and ${service.older} older without traffic`);
    this.reason();
  }

  // reason is the autoscaler's sentence, of the revision that it matters for.
  reason() {
    const told = this.service.revisions.filter((r) => r.reason && (r.percent > 0 || r.wanted > 0 || r.answer > 0));
    this.why.replaceChildren(...told.slice(0, 3).flatMap((r, i) => [i ? el('br') : null,
      el('b', {}, `${r.name} wants ${r.wanted === 1 ? '1 pod' : r.wanted ? `${r.wanted} pods` : 'no pod'}`), `: ${r.reason}`]).filter(Boolean));
  }

  age() { this.rows.forEach((r) => r.age()); }

  draw(times, live, rates) {
    const line = (name, quantity) => ({name, values: live[quantity] ?? times.map(() => null)});
    const errors = {name: '5xx', values: times.map((_, i) => live.errors?.[i] ?? (live.rate?.[i] == null ? null : 0))}; // none so far is none
    this.charts.rate.draw(times, [line('all', 'rate'), errors]);
    this.charts.latency.draw(times, [line('p50', 'p50'), line('p95', 'p95')]);
    this.charts.pods.draw(times, [line('answer', 'answer'), line('wanted', 'wanted'), line('held', 'held')]);
    for (const [name, row] of this.rows) row.rate(rates[`${this.service.namespace}/${name}`]);
  }
}

// Row is one revision.
class Row {
  constructor(revision, service) {
    this.track = el('span');
    this.pct = el('span', {class: 'pct'});
    this.tags = el('span');
    this.requests = el('td', {class: 'num rate'}, '–');
    this.pods = el('span', {class: 'pods'});
    this.said = el('span');
    this.words = el('td', {class: 'words'}, this.said);
    this.old = el('td', {class: 'num dim'});
    this.button = el('button', {type: 'button', class: 'small', onclick: () => route(service(), this.revision)}, '');
    this.node = el('tr', {},
      el('td', {class: 'name mono'}, revision.name, ' ', this.tags),
      el('td', {}, el('span', {class: 'share'}, el('span', {class: 'track'}, this.track), this.pct)),
      this.requests, el('td', {}, this.pods), this.words, this.old, el('td', {}, this.button));
    this.service = service;
  }

  update(r) {
    this.revision = r;
    this.track.style.width = `${r.percent}%`;
    text(this.pct, `${r.percent} %`);
    const tags = JSON.stringify(r.tags ?? []);
    if (this.shown !== tags) {
      this.shown = tags;
      this.tags.replaceChildren(...(r.tags ?? []).map((t) => el('span', {class: 'tag'}, t)));
    }
    this.pods.replaceChildren(...r.pods.map((p) => el('span', {class: kind(p.words), title: `${short(p.name)}: ${p.words}`})),
      el('small', {}, r.answer !== r.wanted ? `${r.answer} of ${r.wanted}` : r.answer ? `${r.answer}` : 'none'));
    text(this.said, r.words);
    this.said.title = r.words;
    this.words.classList.toggle('bad', r.ready === 'False');
    const s = this.service();
    const alone = r.percent === 100;
    this.button.hidden = r.ready !== 'True' || (alone && s.pinned);
    text(this.button, alone ? 'Hold' : r.name === s.latest ? 'All traffic' : 'Roll back');
    this.button.setAttribute('aria-label', `${this.button.textContent}: ${r.name}`);
    this.age();
  }

  age() { text(this.old, ago(this.revision.created)); }

  rate(n) { text(this.requests, show(n, 'ops')); }
}

const kind = (words) => (['ready', 'starting', 'pending', 'made', 'ending'].includes(words) ? words : 'other');

// route sends all traffic to one revision, by its name.
function route(service, revision) {
  const tagged = service.traffic.filter((t) => t.tag).map((t) => ({...t, percent: 0}));
  changeTraffic(service, [{revision: revision.name, percent: 100}, ...tagged],
    `All traffic of ${service.name} goes to ${revision.name}, and stays there: new revisions get none until it follows the latest again.`);
}
