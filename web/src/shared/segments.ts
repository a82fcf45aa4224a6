/** Segments of a channel, as the server lists them once their index is there. */

import { type ChannelName, Refused, ask, channelOf, names, quote, root, url } from "./server";

export interface Segment {
  /** Text, since it may have 64 bits. */
  id: string;
  voxels: number;
  volume_um3?: number;
  x: number;
  y: number;
  z: number;
  x_low: number;
  y_low: number;
  z_low: number;
  x_high: number;
  y_high: number;
  z_high: number;
  supervoxels: number;
  synapses_in?: number;
  synapses_out?: number;
}

/** Milliseconds between two questions about an index that is being built. */
const PAUSE = 1500;

const BUSY = 503;

/** Ask for segments: a page of the largest, or those with some ids, which come last in the address. */
export async function segmentsOf(name: ChannelName, words: Record<string, string | number>): Promise<Segment[]> {
  const asked = names(name);
  for (const [key, value] of Object.entries(words)) asked.set(key, String(value));
  const text = await (await ask(`${url("api/segments")}?${asked}`)).text();
  const lines = text.split("\n").filter(Boolean);
  return lines.map((line) => JSON.parse(line.replace(/"id":\s*(\d+)/, '"id":"$1"')) as Segment);
}

/**
 * Ask until the index of a channel is built.
 *
 * @param told Is told the percentage, and then null; false ends the waiting.
 * @returns The answer; undefined if the waiting was ended.
 */
export async function once<T>(
  name: ChannelName,
  question: () => Promise<T>,
  told: (percent: number | null) => boolean,
): Promise<T | undefined> {
  for (;;) {
    try {
      const answer = await question();
      return told(null) ? answer : undefined;
    } catch (error) {
      if (!(error instanceof Refused) || error.status !== BUSY) throw error;
    }
    const { segments } = await channelOf(name);
    if (!told(segments?.index ?? 0)) return undefined;
    await new Promise((rested) => setTimeout(rested, PAUSE));
  }
}

/** Return the address of the page of a segment, or of all segments of a channel. */
export function neuronPage({ token, name }: ChannelName, id?: string): string {
  const address = new URL(`neuron?dataset=${quote(token)}&channel=${quote(name)}`, root);
  if (id !== undefined) address.searchParams.set("id", id);
  return address.href;
}
