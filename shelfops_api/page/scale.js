// From values to pixels, and where the ticks of an axis lie.

/** A linear scale. */
export const linear = (from, to, start, end) => (value) => start + ((value - from) / (to - from || 1)) * (end - start);

/** Round steps from 0 to at least `highest`. */
export function ticks(highest, wanted = 5) {
  const rough = Math.max(highest, 1e-9) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough) * power;
  const count = Math.ceil(Math.max(highest, 1e-9) / step - 1e-9);
  return Array.from({ length: count + 1 }, (_, k) => Number((k * step).toPrecision(12)));
}

/** Every so many positions of `n`, so that labels `least` pixels wide do not touch; the last one is kept. */
export function spread(n, width, least) {
  const every = Math.max(1, Math.ceil(n / Math.max(1, Math.floor(width / least))));
  return Array.from({ length: n }, (_, k) => k).filter((k) => (n - 1 - k) % every === 0);
}
