/** Addresses of the other pages. */

import { type ChannelName, type Kind, keyOf, url } from "./server";

/** Return the address of Neuroglancer with one channel, shown as a kind whatever it is. */
export function neuroglancerAs(name: ChannelName, kind: Kind): string {
  const address = new URL(neuroglancer([name]));
  address.searchParams.set(kind, keyOf(name));
  return address.href;
}

/** Return the address of Neuroglancer with channels; it arranges them itself. */
export function neuroglancer(
  chosen: { dataset: string } | ChannelName[],
  segments: string[] = [],
  position: number[] = [],
  of?: ChannelName,
): string {
  const address = new URL(url("ng/"));
  if (Array.isArray(chosen)) {
    for (const { token, name } of chosen) address.searchParams.append("channel", `${token}/${name}`);
  } else {
    address.searchParams.set("dataset", chosen.dataset);
  }
  if (segments.length) address.searchParams.set("segments", segments.join(","));
  if (segments.length && of) address.searchParams.set("of", keyOf(of));
  if (position.length) address.searchParams.set("position", position.join(","));
  return address.href;
}

/** What the section viewer looks at, in voxels. */
interface View {
  x: number;
  y: number;
  z: number;
  /** Voxels across the window. */
  span: number;
  /** A segmentation over it. */
  over?: ChannelName;
}

/** Return the address of the sections of a channel. */
export function sections(name: ChannelName, view?: View): string {
  const address = new URL(url("sections"));
  address.searchParams.set("channel", keyOf(name));
  for (const [key, value] of Object.entries(view ?? {})) {
    if (value !== undefined) address.searchParams.set(key, typeof value === "object" ? keyOf(value) : String(value));
  }
  return address.href;
}
