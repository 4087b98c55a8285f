// How the page asks its server. The token comes in the address, goes out of it
// at once, and is sent with everything.

const given = new URLSearchParams(location.hash.slice(1)).get('token');
if (given) {
  sessionStorage.setItem('token', given);
  history.replaceState(null, '', '/#/');
}

export class Refused extends Error {}

async function ask(path, options = {}) {
  const token = sessionStorage.getItem('token') ?? '';
  const response = await fetch(path, {...options, headers: {...options.headers, 'Devbox-Token': token}, cache: 'no-store', credentials: 'omit'});
  if (!response.ok) {
    const error = new Refused((await response.text()).trim() || response.statusText);
    error.status = response.status;
    throw error;
  }
  return response;
}

export const get = async (path, signal) => (await ask(path, {signal})).json();

export const send = async (method, path, body) =>
  (await ask(path, {method, body: JSON.stringify(body), headers: {'Content-Type': 'application/json'}})).json();

// stream reads server-sent events until they end, and tells each as
// (name, value). silence is how many milliseconds without one end it.
export async function stream(path, {signal, silence, open, tell}) {
  const quiet = new AbortController();
  const response = await ask(path, {signal: AbortSignal.any([quiet.signal, ...(signal ? [signal] : [])])});
  open?.();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = '';
  let timer;
  const listen = () => {
    clearTimeout(timer);
    if (silence) timer = setTimeout(() => quiet.abort(), silence);
  };
  try {
    for (listen(); ; listen()) {
      const {value, done} = await reader.read();
      if (done) return;
      buffer += value;
      const messages = buffer.split('\n\n');
      buffer = messages.pop();
      for (const message of messages) {
        const cut = message.indexOf('\n');
        tell(message.slice('event: '.length, cut), JSON.parse(message.slice(cut + '\ndata: '.length)));
      }
    }
  } finally {
    clearTimeout(timer);
    reader.cancel().catch(() => {});
  }
}
