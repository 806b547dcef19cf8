/** Plots of a value over the last minutes. */
import { h, svg } from "./dom.js";

const width = 300;
const height = 60;
/** Most points: five minutes of one a second. */
export const mostPoints = 300;

/**
 * A line for each list of values, all in one scale; undefined is a gap.
 *
 * @param {string} label what it is, for readers that do not see it
 * @param {readonly { colour: 0 | 1 | 2, values: readonly (number | undefined)[] }[]} lines
 */
export function plot(label, lines) {
  const highest = Math.max(1e-9, ...lines.flatMap(({ values }) => values.map((value) => value ?? 0)));
  const paths = lines.map(({ values, colour }) =>
    svg("path", { class: `line line-${colour}`, d: pathOf(values, highest) }),
  );
  return h(
    "figure.plot",
    null,
    svg(
      "svg",
      {
        viewBox: `0 0 ${width} ${height}`,
        preserveAspectRatio: "none",
        role: "img",
        "aria-label": `${label}, at most ${numberText(highest)}`,
      },
      ...paths,
    ),
  );
}

/**
 * What a line of a plot is, with its last value.
 *
 * @param {string} name
 * @param {0 | 1 | 2} colour
 * @param {string} value
 */
export function plotKey(name, colour, value) {
  return h(`span.key.key-${colour}`, null, `${name} `, h("strong", null, value));
}

/**
 * @param {readonly (number | undefined)[]} values
 * @param {number} highest
 */
function pathOf(values, highest) {
  // A plot that has just begun shows its first minute in full width.
  const shown = Math.max(60, values.length);
  const start = shown - values.length;
  let path = "";
  let isDown = false;
  for (const [at, value] of values.entries()) {
    if (value === undefined) {
      isDown = false;
      continue;
    }
    const x = ((start + at) / (shown - 1)) * width;
    const y = height - 2 - (value / highest) * (height - 4);
    path += `${isDown ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    // A value alone is a dot.
    if (!isDown && values[at + 1] === undefined) path += "h1";
    isDown = true;
  }
  return path;
}

/** @param {number} value */
export function numberText(value) {
  return value >= 100
    ? `${Math.round(value)}`
    : value >= 10
      ? value.toFixed(1).replace(/\.0$/, "")
      : `${Number(value.toPrecision(2))}`;
}
