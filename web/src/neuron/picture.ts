/** The picture of a segment: its mesh, drawn by the browser. */

import { el } from "../shared/dom";
import type { ChannelName } from "../shared/server";
import { once } from "../shared/segments";
import { count, many } from "../shared/words";
import { type Fragment, fragmentsOf, joined, meshesOf, read } from "./mesh";

/** Vertices of all fragments beyond which they are not joined: their borders stay visible. */
const JOINED = 4_000_000;

/** Return the panel with the picture, which fills itself. */
export function picture(name: ChannelName, id: string): HTMLElement {
  const status = el("p", { className: "faint", role: "status" }, "Looking for the mesh …");
  const place = el("div", {
    className: "mesh",
    tabIndex: 0,
    role: "application",
    "aria-roledescription": "3-D view",
    "aria-label": `Segment ${id} in 3-D. Arrow keys turn it, plus and minus zoom, 0 shows all of it.`,
  });
  const panel = el("section", { className: "panel plain picture" }, el("h2", {}, "In 3-D"), status, place);
  fill(name, id, place, status).catch((error: Error) => {
    place.hidden = true;
    status.textContent = error.message;
  });
  return panel;
}

async function fill(name: ChannelName, id: string, place: HTMLElement, status: HTMLElement): Promise<void> {
  const folder = await meshesOf(name);
  if (folder === undefined) {
    place.hidden = true;
    status.textContent = "The page cannot draw the stored meshes of this channel; Neuroglancer shows them.";
    return;
  }
  const names = await once(name, () => fragmentsOf(folder, id), (percent) => {
    if (percent !== null) status.textContent = `The index of all segments is being built: ${percent} %`;
    return true;
  });
  if (!names) return;
  const { View } = await import("./view");
  const view = new View(place, getComputedStyle(place).color);
  const fragments: Fragment[] = [];
  await read(folder, names, (fragment) => {
    fragments.push(fragment);
    view.add(fragment);
    status.textContent = `${count(fragments.length)} of ${many(names.length, "part")}`;
  });
  const vertices = fragments.reduce((sum, { vertices }) => sum + vertices.length / 3, 0);
  if (vertices <= JOINED) view.replace(joined(fragments));
  const triangles = fragments.reduce((sum, { triangles }) => sum + triangles.length / 3, 0);
  status.textContent = `${many(triangles, "triangle")} · drag it, or use the arrow keys, to turn it`;
  place.dataset.shown = String(triangles);
}
