/** States of Neuroglancer: layers arranged over the middle of what is shown. */

import {
  type Channel,
  type ChannelName,
  type Dataset,
  type Kind,
  type Xyz,
  channelOf,
  contrastOf,
  countsOf,
  keyOf,
  listed,
  relationshipsOf,
  tokenOf,
  url,
} from "./server";
import { grapheneSource, rootsOf } from "./graphene";
import { type Selection, largest } from "./selection";
import { lengths } from "./words";

interface Part {
  name: ChannelName;
  channel: Channel;
  range?: [number, number];
}

interface Wishes {
  /** Segments to select, as text: they may have 64 bits. */
  segments?: string[];
  /** Key of the channel whose segments these are; the first segmentation unless given. */
  of?: string;
  /** The place to look at, in voxels. */
  position?: number[];
  /** What channels are shown as, by their keys, where that is not what the server says. */
  kinds?: ReadonlyMap<string, Kind>;
  /** Whether the segmentation that is looked at can be edited; decided by what it is tied to unless given. */
  editable?: boolean;
}

/** Files of one kind come in one order: what is looked at through comes first. */
const ORDER = { image: 0, segmentation: 1 };

/** A view from above and the side: along an axis, what fills a volume shows little but its cut faces. */
const OBLIQUE = [0.216, 0.216, 0.048, 0.951];

/** Choose the channels that a dataset opens with: all, but no more than can be looked at at once. */
export async function channelsOf(token: string): Promise<ChannelName[]> {
  const dataset = (await listed()).find((one: Dataset) => tokenOf(one) === token);
  if (!dataset) throw new Error(`There is no dataset ${token}.`);
  return dataset.channels.slice(0, 12).map(({ name }) => ({ token, name }));
}

async function partOf(name: ChannelName, kinds: Wishes["kinds"]): Promise<Part> {
  const stated = await channelOf(name);
  const channel = { ...stated, kind: kinds?.get(keyOf(name)) ?? stated.kind };
  const range = channel.kind === "image" ? await contrastOf(name) : undefined;
  return { name, channel, range: range && wholeIn64Bits(range, channel.dtype) };
}

/** Return levels as Neuroglancer takes them: of 64 bits it has whole numbers from 0 on only. */
function wholeIn64Bits([low, high]: [number, number], dtype: string): [number, number] {
  if (!dtype.endsWith("int64")) return [low, high];
  return [Math.max(0, Math.floor(low)), Math.max(1, Math.ceil(high))];
}

/** A state, and what to say about it. */
export interface Arranged {
  state: object;
  notes: string[];
}

/** Return the state that shows channels; those that cannot be opened are left out. */
export async function arrange(chosen: ChannelName[], wishes: Wishes = {}): Promise<Arranged> {
  const tried = await Promise.allSettled(chosen.map((name) => partOf(name, wishes.kinds)));
  const parts = tried.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  const first = parts[0];
  if (!first) {
    const [failed] = tried;
    throw failed?.status === "rejected" ? failed.reason : new Error("No channel is chosen.");
  }
  parts.sort((a, b) => ORDER[a.channel.kind] - ORDER[b.channel.kind]);
  const grid = gridOf(parts);
  const labels = labelsOf(parts, wishes);
  const isAsked = wishes.segments !== undefined;
  const none: Selection = { segments: wishes.segments ?? [] };
  const selection = isAsked || !labels ? none : await largest(labels.name, labels.channel);
  const { segments } = selection;
  const tied = await synapseLayers(parts, labels, isAsked, grid);
  tied.push(...(await storedAnnotationLayers(parts, grid)));
  const layers = parts.map((part) => volumeLayer(part, parts, part === labels, segments, isAsked, grid));
  const [place, edited] = [parts.indexOf(labels as Part), await editableLayer(labels, tied, wishes, segments)];
  if (edited) Object.assign(layers[place] as object, edited.layer);
  layers.push(...tied);
  const { size, voxel_offset } = (parts[0] as Part).channel;
  const scale = grid ?? [1, 1, 1];
  const extent = Math.max(size[0], size[1] * (scale[1] / scale[0]));
  const state = {
    dimensions: dimensions(grid),
    position: wishes.position ?? size.map((n, i) => (voxel_offset[i] ?? 0) + n / 2),
    crossSectionScale: Math.max(extent / 700, 0.25),
    projectionScale: 1.5 * Math.max(...size.map((n, i) => (n * (scale[i] ?? 1)) / scale[0])),
    ...(segments.length && { projectionOrientation: OBLIQUE }),
    layers,
    showSlices: !segments.length,
    layout: "4panel",
    selectedLayer: { visible: false, layer: nameOf(first, parts) },
  };
  return { state, notes: [...notesOn(parts, grid), ...(selection.note ? [selection.note] : []), ...(edited?.notes ?? [])] };
}

/** Return the segmentation that is looked at: the one that is wished, or the first. */
function labelsOf(parts: Part[], { of }: Wishes): Part | undefined {
  const all = parts.filter(({ channel }) => channel.kind === "segmentation");
  return all.find(({ name }) => keyOf(name) === of) ?? all[0];
}

/** Return the voxel size of what is looked at first that has one; null if none has. */
function gridOf(parts: Part[]): Xyz | null {
  return parts.find(({ channel }) => channel.voxel_size)?.channel.voxel_size ?? null;
}

/** Return dimensions in metres; without a unit, so that lengths count voxels, if there is no size. */
const dimensions = (size: Xyz | null): Record<string, [number, string]> =>
  Object.fromEntries(["x", "y", "z"].map((axis, i) => [axis, size ? [(size[i] ?? 1) * 1e-9, "m"] : [1, ""]]));

/**
 * Return the source of a layer. All channels of a dataset share one grid of voxels: one of unknown size
 * lies on the grid of the others. Its precomputed `info` has to say 1 nm, which is not so.
 */
function sourceOf(url: string, { voxel_size }: Channel, grid: Xyz | null): string | object {
  if (voxel_size) return url;
  return { url, transform: { inputDimensions: dimensions(grid), outputDimensions: dimensions(grid) } };
}

/** Say which channels have no voxel size, and what they are drawn with. */
function notesOn(parts: Part[], grid: Xyz | null): string[] {
  const unsized = parts.filter(({ channel }) => !channel.voxel_size).map((part) => nameOf(part, parts));
  if (!unsized.length) return [];
  const drawn = grid ? `drawn with voxels of ${lengths(grid)}` : "lengths count voxels";
  return [`The voxel size of ${unsized.join(", ")} is unknown: ${drawn}.`];
}

/** Two datasets can have channels of one name. */
function nameOf({ name }: Part, parts: Part[]): string {
  const twins = parts.filter((other) => other.name.name === name.name).length > 1;
  return twins ? `${name.token}/${name.name}` : name.name;
}

function volumeLayer(
  part: Part,
  parts: Part[],
  isLookedAt: boolean,
  segments: string[],
  isAsked: boolean,
  grid: Xyz | null,
): Record<string, unknown> {
  const { name, channel, range } = part;
  const layer = { name: nameOf(part, parts), source: sourceOf(`precomputed://${url("pre", name)}`, channel, grid) };
  if (channel.kind === "image") {
    return { type: "image", ...layer, shaderControls: { normalized: { range } } };
  }
  const hasImage = parts.some(({ channel }) => channel.kind === "image");
  return {
    type: "segmentation",
    ...layer,
    selectedAlpha: hasImage ? 0.35 : 1,
    // Of several segmentations one is looked at, and the others are a click away.
    visible: isLookedAt,
    ...(isLookedAt && segments.length && { segments }),
    // What is selected unasked hides no other segment.
    ...(isLookedAt && segments.length && !isAsked && { notSelectedAlpha: hasImage ? 0.2 : 0.6 }),
  };
}

/**
 * Return what makes a layer editable, with the roots of its segments; undefined to leave it as it is.
 *
 * Synapses and annotations name segments, not roots: unless it is asked for, layers with them are not edited.
 */
async function editableLayer(
  part: Part | undefined,
  tied: Record<string, unknown>[],
  { editable }: Wishes,
  segments: string[],
): Promise<{ layer: object; notes: string[] } | undefined> {
  const { table, voxel_size, segments: facts } = part?.channel ?? {};
  if (!part || editable === false) return undefined;
  if (!table || !voxel_size || !facts?.meshes) {
    const reason = voxel_size ? "there are no meshes" : "its voxel size is unknown";
    return editable ? { layer: {}, notes: [`${part.name.name} cannot be edited here: ${reason}.`] } : undefined;
  }
  const isTied = tied.some(({ linkedSegmentationLayer }) => Object.keys(linkedSegmentationLayer ?? {}).length);
  if (editable === undefined && isTied) return undefined;
  try {
    const roots = await rootsOf(table, segments);
    const layer = { source: grapheneSource(table), ...(roots.length && { segments: [...new Set(roots)].map(String) }) };
    const notes = isTied ? ["Synapses and annotations are not tied to the segments of a layer that is edited."] : [];
    return { layer, notes };
  } catch (error) {
    return { layer: {}, notes: [`${part.name.name} cannot be edited yet: ${(error as Error).message}`] };
  }
}

/** The synapses of each dataset with a segmentation, tied to its segments. */
async function synapseLayers(
  parts: Part[],
  shown: Part | undefined,
  isFiltered: boolean,
  grid: Xyz | null,
): Promise<Record<string, unknown>[]> {
  const layers = [];
  for (const token of new Set(parts.map(({ name }) => name.token))) {
    const first = parts.find(({ name, channel }) => name.token === token && channel.kind === "segmentation");
    const labels = shown?.name.token === token ? shown : first;
    if (!labels || !(await countsOf(token)).synapses) continue;
    const linked = nameOf(labels, parts);
    layers.push({
      type: "annotation",
      name: layers.length ? `${token} synapses` : "synapses",
      source: sourceOf(`precomputed://${url("pre", labels.name, "synapses")}`, labels.channel, grid),
      linkedSegmentationLayer: { pre: linked, post: linked },
      ...(isFiltered && { filterBySegmentation: ["pre", "post"] }),
      annotationColor: "#ffd54a",
    });
  }
  return layers;
}

/** The annotations stored with each channel, tied to its segments. They are a click away. */
async function storedAnnotationLayers(parts: Part[], grid: Xyz | null): Promise<Record<string, unknown>[]> {
  const wanted = parts.flatMap((part) => part.channel.annotations.map((folder) => ({ part, folder })));
  const layers = wanted.map(async ({ part, folder }) => {
    const isSegments = part.channel.kind === "segmentation";
    const related = isSegments ? await relationshipsOf(part.name, folder) : [];
    const named = nameOf(part, parts);
    return {
      type: "annotation",
      name: `${named} ${folder}`,
      source: sourceOf(`precomputed://${url("pre", part.name, folder)}`, part.channel, grid),
      linkedSegmentationLayer: Object.fromEntries(related.map((id) => [id, named])),
      visible: false,
    };
  });
  return (await Promise.allSettled(layers)).flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
}
