// What is shown, and the stream that feeds it.

import {stream, Refused} from './api.js';
import {byId, text} from './dom.js';
import {clock} from './format.js';
import {Services} from './services.js';
import {showEdits} from './edits.js';
import {showCold} from './cold.js';
import {Panels} from './panels.js';
import {Logs} from './logs.js';
import {compare} from './compare.js';

const services = new Services(byId('services'));
const panels = new Panels();
const logs = new Logs();

let box = null; // what was said of it last
let spoke = null; // when the server did

const parts = {
  box(value) { box = value; standing(); services.allow(box.here); logs.here(box.here); },
  services(value) { services.show(value); panels.know(value); logs.know(value); },
  metrics(value) { services.metrics(value.error); },
  edits: showEdits,
  cold: showCold,
  history(value) { services.history(value); },
  tick(value) { services.tick(value); },
};

function banner(...words) {
  const node = byId('banner');
  node.hidden = words.length === 0;
  const said = words.join(' ');
  if (node.textContent !== said) node.textContent = said;
}

// standing says whether what is shown is of now.
function standing(ended) {
  const live = byId('live');
  live.className = `standing ${ended || (box && !box.here) ? 'off' : box ? 'on' : ''}`;
  byId('main').classList.toggle('stale', Boolean(ended || (box && !box.here)));
  if (ended) {
    text(live, 'ended');
    banner(ended);
    return;
  }
  if (!box) return;
  text(byId('box-name'), box.name);
  text(byId('box-engine'), box.engine);
  text(byId('box-gateway'), box.gateway.replace('http://', ''));
  byId('box-gateway').href = box.gateway;
  document.title = `${box.here ? '' : '○ '}${box.name ? `${box.name} – ` : ''}devbox`;
  text(live, box.here ? 'live' : 'away');
  if (box.here) banner();
  else banner(`The box is away: ${box.why}.`, spoke ? `What you see is of ${clock(box.since)}.` : '', 'The page goes on by itself when the box is back.');
}

// follow reads the stream, and begins again when it ends, until it is refused.
async function follow() {
  for (;;) {
    try {
      await stream('/api/stream', {
        silence: 15000,
        open: () => standing(),
        tell(name, value) {
          spoke = Date.now();
          parts[name]?.(value);
          if (!performance.getEntriesByName(name).length) performance.mark(name); // when it was there first
        },
      });
    } catch (error) {
      if (error instanceof Refused && error.status === 401) {
        standing(spoke
          ? 'Another `devbox ui` serves this address now. Open the address that it has printed.'
          : 'This page opens by the address that `devbox ui` has printed: the token in it is missing here.');
        return;
      }
    }
    standing('The server of this page does not answer: `devbox ui` may have ended. The page goes on by itself when it is back.');
    await new Promise((again) => setTimeout(again, 1000));
  }
}

const views = {overview: {}, panels, logs, compare};

function route() {
  const name = location.hash.replace(/^#\/?/, '') || 'overview';
  const view = views[name] ? name : 'overview';
  for (const [other, v] of Object.entries(views)) {
    byId(other).hidden = other !== view;
    const link = document.querySelector(`nav a[data-view=${other}]`);
    if (other === view) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
    if (other !== view) v.hide?.();
  }
  views[view].show_?.();
}

document.addEventListener('keydown', (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || document.querySelector('dialog[open]') || /^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName)) return;
  const to = {1: '#/', 2: '#/panels', 3: '#/logs', 4: '#/compare'}[e.key];
  if (to) location.hash = to;
  if (e.key === '/') {
    e.preventDefault();
    location.hash = '#/logs';
    setTimeout(() => byId('logs-filter').focus());
  }
});

addEventListener('hashchange', route);
route();
follow();
