/** The synapses of a neuron, seen along two axes. */

import { type Neuron, type Synapse } from "./rows";

const NAMESPACE = "http://www.w3.org/2000/svg";

/** More dots than this are one blot. */
const DOTS = 4000;

const WIDTH = 360;
const MARGIN = 18;

type Axis = "x" | "y" | "z";

function draw(tag: string, attributes: Record<string, string | number>, text = ""): SVGElement {
  const element = document.createElementNS(NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.textContent = text;
  return element;
}

/** Plot synapses by two of their coordinates, `right` to the right and `down` downwards. */
export function plot(
  synapses: Synapse[],
  neuron: Neuron,
  id: string,
  right: Axis,
  down: Axis,
  scale: Record<Axis, number>,
): SVGElement {
  const places = [...synapses, neuron];
  const range = (axis: Axis): [number, number] => {
    const values = places.map((place) => place[axis] * scale[axis]);
    const low = values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
    return [low, values.reduce((a, b) => Math.max(a, b), low)];
  };
  const [left, rightmost] = range(right);
  const [top, bottom] = range(down);
  const span = Math.max(rightmost - left, bottom - top, 1);
  const unit = (WIDTH - 2 * MARGIN) / span;
  const height = Math.max(90, (bottom - top) * unit + 2 * MARGIN);
  const spare = (span - (rightmost - left)) / 2;
  const at = (place: Record<Axis, number>) => ({
    cx: (MARGIN + (place[right] * scale[right] - left + spare) * unit).toFixed(1),
    cy: (MARGIN + (place[down] * scale[down] - top) * unit).toFixed(1),
  });
  const svg = draw("svg", {
    viewBox: `0 0 ${WIDTH} ${height}`,
    role: "img",
    "aria-label": `${synapses.length} synapses of neuron ${id}, ${right} to the right and ${down} downwards`,
  });
  const step = Math.ceil(synapses.length / DOTS);
  for (let i = 0; i < synapses.length; i += step) {
    const synapse = synapses[i] as Synapse;
    svg.append(draw("circle", { ...at(synapse), r: 3, class: synapse.n1 === id ? "pre" : "post", opacity: 0.75 }));
  }
  svg.append(draw("circle", { ...at(neuron), r: 7, class: "soma" }));
  svg.append(draw("text", { x: WIDTH - 14, y: height - 6 }, right), draw("text", { x: 5, y: 13 }, down));
  return svg;
}
