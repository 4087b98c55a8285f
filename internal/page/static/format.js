// Numbers and times in words.

const ms = (n) => (n >= 60000 ? `${Math.floor(n / 60000)}m ${Math.round((n % 60000) / 1000)}s` : n >= 10000 ? `${(n / 1000).toFixed(1)} s` : n >= 1000 ? `${(n / 1000).toFixed(2)} s` : n >= 100 ? `${Math.round(n)} ms` : n >= 1 ? `${n.toFixed(1).replace(/\.0$/, '')} ms` : n > 0 ? `${n.toFixed(2)} ms` : '0 ms');

const count = (n) => (n >= 1e6 ? `${(n / 1e6).toFixed(1)}M` : n >= 10000 ? `${(n / 1000).toFixed(1)}k` : n >= 100 || Number.isInteger(n) ? `${Math.round(n)}` : n >= 10 ? n.toFixed(1) : n >= 0.005 || n <= -0.005 ? n.toFixed(2) : '0');

const bytes = (n) => (n >= 2 ** 30 ? `${(n / 2 ** 30).toFixed(1)} GiB` : n >= 2 ** 20 ? `${(n / 2 ** 20).toFixed(1)} MiB` : `${Math.round(n / 1024)} KiB`);

const units = {
  ms, bytes,
  number: count,
  ops: (n) => `${count(n)}/s`,
  cores: (n) => `${count(n)} cores`,
  percent: (n) => `${(n * 100).toFixed(n === 1 || n === 0 ? 0 : 1)} %`,
  bool: (n) => (n ? 'on' : 'off'),
};

// show is a number with its unit; what is none is a dash.
export const show = (n, unit) => (n == null ? '–' : (units[unit] ?? count)(n));

export const took = (nanoseconds) => ms(nanoseconds / 1e6);

export const clock = (time) => new Date(time).toLocaleTimeString([], {hour12: false});

export const ago = (time) => {
  const s = Math.max(0, (Date.now() - new Date(time)) / 1000);
  if (s < 60) return `${Math.floor(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86400)} d`;
};

// short is the end of a pod's name, which tells it from its brothers.
export const short = (pod) => pod.slice(pod.lastIndexOf('-') + 1);
