// Made-up features of the right widths. Knows numbers; nothing of forms.

/** Return a generator of numbers in [0, 1), the same for the same seed (mulberry32). */
function uniform(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function normal(next) {
  // 1 - u is never 0, whose logarithm is endless.
  return Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
}

const rounded = (value) => Math.round(value * 1e4) / 1e4;

/** Return features drawn from a normal distribution, for each of `widths`. */
export function drawn(widths, seed) {
  const next = uniform(seed);
  return mapped(widths, (width) => Array.from({ length: width }, () => rounded(normal(next))));
}

/** Return `features` moved a little, by a tenth of how far each modality spreads. */
export function near(features, seed) {
  const next = uniform(seed);
  return mapped(features, (values) => {
    const spread = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
    return values.map((value) => rounded(value + 0.1 * spread * normal(next)));
  });
}

const mapped = (record, change) =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value)]));
