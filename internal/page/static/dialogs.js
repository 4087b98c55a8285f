// What a person may change, each with a question first.

import {el, text} from './dom.js';
import {send} from './api.js';
import {took} from './format.js';

// ask opens a dialog of a title and content. act is what its button does; an
// error of it is said, and the dialog stays.
function ask(title, button, content, act, {wide = false, stays = false} = {}) {
  const error = el('p', {class: 'error', role: 'alert'});
  const go = el('button', {class: 'primary', type: 'submit'}, button);
  const form = el('form', {method: 'dialog'},
    el('h2', {}, title), ...content, error,
    el('div', {class: 'buttons'}, el('button', {type: 'button', onclick: () => dialog.close()}, stays ? 'Close' : 'Cancel'), go));
  const dialog = el('dialog', {class: wide ? 'wide' : '', 'aria-label': title, onclose: () => dialog.remove()}, form);
  form.addEventListener('submit', async (e) => {
    e.preventDefault();
    go.disabled = true;
    text(error, '');
    try {
      await act();
      if (!stays) dialog.close();
    } catch (refused) {
      text(error, refused.message);
    } finally {
      go.disabled = false;
    }
  });
  document.body.append(dialog);
  dialog.showModal();
  return {dialog, go};
}

const at = (service) => `/api/services/${encodeURIComponent(service.namespace)}/${encodeURIComponent(service.name)}`;

const put = (service, traffic) => send('PUT', `${at(service)}/traffic`, {traffic});

// changeTraffic says in words what will be, and does it.
export function changeTraffic(service, traffic, words) {
  ask(`Change the traffic of ${service.name}?`, 'Change it', [el('p', {}, words)], () => put(service, traffic));
}

// splitTraffic lets a person give each revision its share.
export function splitTraffic(service) {
  const now = (revision) => service.traffic.filter((t) => (t.revision ?? '') === revision).reduce((sum, t) => sum + t.percent, 0);
  const names = [...new Set(['', ...service.revisions.filter((r) => r.ready === 'True').map((r) => r.name), ...service.traffic.map((t) => t.revision ?? '')])];
  const inputs = names.map((name, i) => {
    const key = `share-${i}`;
    return {name, key, input: el('input', {id: key, type: 'number', min: 0, max: 100, step: 1, value: now(name), oninput: () => add()})};
  });
  const sum = el('p', {class: 'sum', role: 'status'});
  const add = () => {
    const all = inputs.reduce((n, {input}) => n + Number(input.value || 0), 0);
    text(sum, `${all} % of 100 %`);
    sum.classList.toggle('bad', all !== 100);
  };
  add();
  ask(`Split the traffic of ${service.name}`, 'Split it', [
    el('p', {class: 'dim'}, 'Shares in percent. What follows the latest moves on with every edit; a revision by its name stays.'),
    el('div', {class: 'grid'}, ...inputs.flatMap(({name, key, input}) => [
      el('label', {for: key, class: name ? 'mono' : ''}, name || `the latest ready${service.latest ? `, now ${service.latest}` : ''}`), input])),
    sum,
  ], () => {
    const tags = service.traffic.filter((t) => t.tag).map((t) => ({...t, percent: 0}));
    return put(service, [...inputs.filter(({input}) => Number(input.value) > 0).map(({name, input}) => ({...(name ? {revision: name} : {}), percent: Math.round(Number(input.value))})), ...tags]);
  });
}

// sendRequest sends one, and shows its way.
export function sendRequest(service) {
  const method = el('select', {'aria-label': 'Method'}, ...['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'].map((m) => el('option', {}, m)));
  const path = el('input', {class: 'mono', value: '/', 'aria-label': 'Path', spellcheck: 'false'});
  const tags = service.traffic.filter((t) => t.tag).map((t) => t.tag);
  const tag = el('select', {'aria-label': 'To', hidden: !tags.length}, el('option', {value: ''}, service.host), ...tags.map((t) => el('option', {value: t}, `${t}-${service.host}`)));
  const said = el('p', {role: 'status'});
  const picture = el('img', {class: 'picture', hidden: true, alt: ''});
  let shown = null;
  const {dialog} = ask(`Send a request to ${service.name}`, 'Send', [
    el('p', {class: 'dim'}, 'One real request by the gateway. Every hop tells what it saw of it.'),
    el('div', {class: 'line'}, method, path, tag), said, picture,
  ], async () => {
    text(said, 'On its way. Where the service is asleep, it waits for a pod.');
    try {
      const {way, svg} = await send('POST', `${at(service)}/requests`, {method: method.value, path: path.value, tag: tag.value, body: ''});
      text(said, `${way.status}${way.pod ? ` by ${way.pod}` : ''} in ${took(way.client)}${way.steps?.length > 2 ? ', from zero pods' : ''}`);
      if (shown) URL.revokeObjectURL(shown);
      shown = URL.createObjectURL(new Blob([svg], {type: 'image/svg+xml'}));
      picture.alt = `The way of the request: ${way.hops.map((h) => h.name).join(', ')}`;
      picture.src = shown;
      picture.hidden = false;
    } catch (error) {
      text(said, '');
      throw error;
    }
  }, {wide: true, stays: true});
  dialog.addEventListener('close', () => shown && URL.revokeObjectURL(shown));
  path.focus();
}
