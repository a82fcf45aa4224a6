/** Rows of neurons and synapses, read as they come; ids are text, since they may have 64 bits. */

import { ask, names, url } from "../shared/server";

export interface Synapse {
  n1: string;
  n2: string;
  x: number;
  y: number;
  z: number;
}

export interface Partner {
  side: "in" | "out";
  partner: string;
  synapses: number;
}

export interface Neuron {
  neuron: string;
  x: number;
  y: number;
  z: number;
}

/** Ask for rows, and stop reading after some. */
export async function rows<T>(what: string, token: string, words: Record<string, string>, most: number): Promise<T[]> {
  const asked = names({ token });
  for (const [key, value] of Object.entries({ ...words, ids: "string" })) asked.set(key, value);
  const answer = await ask(`${url(`api/${what}`)}?${asked}`);
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  const found: T[] = [];
  let rest = "";
  while (reader && found.length < most) {
    const { done, value } = await reader.read();
    const lines = (rest + (value ?? "")).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line) found.push(JSON.parse(line) as T);
    if (done) return found;
  }
  await reader?.cancel();
  return found.slice(0, most);
}
