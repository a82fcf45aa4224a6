/** What is known of a segment: its size, its place, and its files. */

import { neuroglancer, sections } from "../shared/addresses";
import { el } from "../shared/dom";
import { type Channel, type ChannelName, Refused, names, url } from "../shared/server";
import { type Segment, once, segmentsOf } from "../shared/segments";
import { count, lengths, many, volume, voxels } from "../shared/words";

const MESHES = ["obj", "ply", "stl", "glb"];

/** A channel, and what it is. */
export interface Labels {
  name: ChannelName;
  channel: Channel;
}

/**
 * Return the panel with the facts, which fills itself.
 *
 * @param image What a section shows.
 * @param missing Is called if there is no such segment.
 */
export function facts(labels: Labels, image: ChannelName | undefined, id: string, missing: () => void): HTMLElement {
  const status = el("p", { className: "faint", role: "status" }, "Looking it up …");
  const list = el("dl", {});
  const panel = el("section", { className: "panel plain facts" }, el("h2", {}, "Segment"), status, list, downloads(labels, id));
  const question = () => segmentsOf(labels.name, { ids: id });
  const told = (percent: number | null) => {
    status.textContent = percent === null ? "" : `The index of all segments is being built: ${percent} %`;
    return true;
  };
  once(labels.name, question, told)
    .then((rows) => rows?.[0] && list.append(...described(labels, image, rows[0])))
    .catch((error: Error) => {
      status.textContent = error.message;
      if (error instanceof Refused && error.status === 404) missing();
    });
  return panel;
}

function described({ name, channel }: Labels, image: ChannelName | undefined, segment: Segment): HTMLElement[] {
  const { id, x, y, z, volume_um3, supervoxels, synapses_in, synapses_out } = segment;
  const low = [segment.x_low, segment.y_low, segment.z_low];
  const size = [segment.x_high, segment.y_high, segment.z_high].map((high, i) => high - (low[i] as number));
  const place = [x + 0.5, y + 0.5, z + 0.5];
  const there = el("a", { href: neuroglancer({ dataset: name.token }, [id], place, name) }, `${x}, ${y}, ${z}`);
  const span = Math.max(Math.min(2 * Math.max(size[0] as number, size[1] as number), channel.size[0]), 64);
  const section = el("a", { href: sections(image ?? name, { x, y, z, span, over: image && name }) }, "its section");
  const extent = channel.voxel_size && lengths(size.map((n, i) => n * (channel.voxel_size?.[i] ?? 1)));
  const rows: [string, ...(Node | string)[]][] = [
    ["Channel", name.name],
    ...(volume_um3 === undefined ? [] : [["Volume", volume(volume_um3)] as [string, string]]),
    ["Voxels", count(segment.voxels)],
    ["Box", `${voxels(size)} voxels from ${low.join(", ")}`],
    ...(extent ? [["Extent", extent] as [string, string]] : []),
    ["A place in it", there, " · ", section],
    ...(supervoxels > 1 ? [["Merged from", many(supervoxels, "supervoxel")] as [string, string]] : []),
    ...(synapses_in === undefined ? [] : [["Synapses", `${count(synapses_in)} in, ${count(synapses_out ?? 0)} out`] as [string, string]]),
  ];
  return rows.flatMap(([term, ...fact]) => [el("dt", {}, term), el("dd", {}, ...fact)]);
}

/** Return links to the mesh and the skeleton as files. */
function downloads({ name }: Labels, id: string): HTMLElement {
  const link = (method: string, format: string) => {
    const asked = names(name);
    asked.set("id", id);
    asked.set("format", format);
    const words = { href: `${url(`api/${method}`)}?${asked}`, download: `${id}.${format}`, rel: "nofollow" };
    return el("a", { ...words, "aria-label": `${method} as ${format.toUpperCase()}` }, format.toUpperCase());
  };
  return el(
    "dl",
    { className: "files" },
    el("dt", {}, "Mesh"),
    el("dd", {}, ...MESHES.map((format) => link("mesh", format))),
    el("dt", {}, "Skeleton"),
    el("dd", {}, link("skeleton", "swc")),
  );
}
