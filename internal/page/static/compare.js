// The last comparison with Istio alone, as the terminal has it.

import {get} from './api.js';
import {byId, el, text} from './dom.js';
import {ago} from './format.js';

export const compare = {
  async show_() {
    const title = byId('compare-title');
    let found;
    try {
      found = await get('/api/comparison');
    } catch (error) {
      found = {title: error.message, table: [], notes: [], words: []};
    }
    text(title, found.began ? `${found.title}, ${ago(found.began)} ago` : found.title);
    byId('compare-table').parentNode.hidden = !found.table.length;
    byId('compare-table').replaceChildren(...table(found.table));
    byId('compare-words').replaceChildren(...found.words.map((w) => el('p', {}, w)));
    byId('compare-notes').replaceChildren(...found.notes.map((n) => el('p', {}, n)));
  },
};

// table has the variants in its head, and a row of a part below its whole.
function table([head, ...rows]) {
  if (!head) return [];
  const row = (cells) => el('tr', {class: cells.slice(1).every((c) => !c) ? 'whole' : cells[0].startsWith(' ') ? 'part' : ''},
    el('th', {scope: 'row'}, cells[0].trim()), ...cells.slice(1).map((c) => el('td', {}, c)));
  return [
    el('thead', {}, el('tr', {}, el('td', {}), ...head.slice(1).map((c) => el('th', {scope: 'col'}, c.toLowerCase())))),
    el('tbody', {}, ...rows.map(row)),
  ];
}
