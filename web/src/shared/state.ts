/** States of Neuroglancer: layers arranged over the middle of what is shown. */

import {
  type Channel,
  type ChannelName,
  type Dataset,
  channelOf,
  contrastOf,
  countsOf,
  listed,
  tokenOf,
  url,
} from "./server";

interface Part {
  name: ChannelName;
  channel: Channel;
  range?: [number, number];
}

interface Wishes {
  /** Segments to select, as text: they may have 64 bits. */
  segments?: string[];
  /** The place to look at, in voxels. */
  position?: number[];
}

/** Files of one kind come in one order: what is looked at through comes first. */
const ORDER = { image: 0, segmentation: 1 };

/** Choose the channels that a dataset opens with: all, but no more than can be looked at at once. */
export async function channelsOf(token: string): Promise<ChannelName[]> {
  const dataset = (await listed()).find((one: Dataset) => tokenOf(one) === token);
  if (!dataset) throw new Error(`There is no dataset ${token}.`);
  return dataset.channels.slice(0, 12).map(({ name }) => ({ token, name }));
}

async function partOf(name: ChannelName): Promise<Part> {
  const channel = await channelOf(name);
  const range = channel.kind === "image" ? await contrastOf(name) : undefined;
  return { name, channel, range: range && wholeIn64Bits(range, channel.dtype) };
}

/** Return levels as Neuroglancer takes them: of 64 bits it has whole numbers from 0 on only. */
function wholeIn64Bits([low, high]: [number, number], dtype: string): [number, number] {
  if (!dtype.endsWith("int64")) return [low, high];
  return [Math.max(0, Math.floor(low)), Math.max(1, Math.ceil(high))];
}

/** Return the state that shows channels; those that cannot be opened are left out. */
export async function arrange(chosen: ChannelName[], wishes: Wishes = {}): Promise<object> {
  const tried = await Promise.allSettled(chosen.map(partOf));
  const parts = tried.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  const first = parts[0];
  if (!first) {
    const [failed] = tried;
    throw failed?.status === "rejected" ? failed.reason : new Error("No channel is chosen.");
  }
  parts.sort((a, b) => ORDER[a.channel.kind] - ORDER[b.channel.kind]);
  const layers = parts.map((part) => volumeLayer(part, parts, wishes));
  layers.push(...(await synapseLayers(parts, wishes)));
  const { size, voxel_offset, voxel_size } = (parts[0] as Part).channel;
  const scale = voxel_size ?? [1, 1, 1];
  const extent = Math.max(size[0], size[1] * (scale[1] / scale[0]));
  return {
    dimensions: Object.fromEntries(["x", "y", "z"].map((axis, i) => [axis, [(scale[i] ?? 1) * 1e-9, "m"]])),
    position: wishes.position ?? size.map((n, i) => (voxel_offset[i] ?? 0) + n / 2),
    crossSectionScale: Math.max(extent / 700, 0.25),
    projectionScale: 1.5 * Math.max(...size.map((n, i) => (n * (scale[i] ?? 1)) / scale[0])),
    layers,
    showSlices: wishes.segments === undefined,
    layout: "4panel",
    selectedLayer: { visible: false, layer: nameOf(first, parts) },
  };
}

/** Two datasets can have channels of one name. */
function nameOf({ name }: Part, parts: Part[]): string {
  const twins = parts.filter((other) => other.name.name === name.name).length > 1;
  return twins ? `${name.token}/${name.name}` : name.name;
}

function volumeLayer(part: Part, parts: Part[], { segments }: Wishes): Record<string, unknown> {
  const { name, channel, range } = part;
  const layer = { name: nameOf(part, parts), source: `precomputed://${url("pre", name)}` };
  if (channel.kind === "image") {
    return { type: "image", ...layer, shaderControls: { normalized: { range } } };
  }
  const labels = parts.filter(({ channel }) => channel.kind === "segmentation");
  return {
    type: "segmentation",
    ...layer,
    selectedAlpha: parts.length > labels.length ? 0.35 : 1,
    // Of several segmentations one is looked at, and the others are a click away.
    visible: labels[0] === part,
    ...(segments && labels[0] === part && { segments }),
  };
}

/** The synapses of each dataset with a segmentation, tied to its segments. */
async function synapseLayers(parts: Part[], { segments }: Wishes): Promise<Record<string, unknown>[]> {
  const layers = [];
  for (const token of new Set(parts.map(({ name }) => name.token))) {
    const labels = parts.find(({ name, channel }) => name.token === token && channel.kind === "segmentation");
    if (!labels || !(await countsOf(token)).synapses) continue;
    const linked = nameOf(labels, parts);
    layers.push({
      type: "annotation",
      name: layers.length ? `${token} synapses` : "synapses",
      source: `precomputed://${url("pre", labels.name, "synapses")}`,
      linkedSegmentationLayer: { pre: linked, post: linked },
      ...(segments && { filterBySegmentation: ["pre", "post"] }),
      annotationColor: "#ffd54a",
    });
  }
  return layers;
}

/** Return the address of Neuroglancer with channels; it arranges them itself. */
export function neuroglancer(chosen: { dataset: string } | ChannelName[], segments: string[] = [], position: number[] = []): string {
  const address = new URL(url("ng/"));
  if (Array.isArray(chosen)) {
    for (const { token, name } of chosen) address.searchParams.append("channel", `${token}/${name}`);
  } else {
    address.searchParams.set("dataset", chosen.dataset);
  }
  if (segments.length) address.searchParams.set("segments", segments.join(","));
  if (position.length) address.searchParams.set("position", position.join(","));
  return address.href;
}
