/** Segmentations as graphene clients see them: each channel is a table, each segment has a root. */

import { ask, url } from "./server";

/** Return where graphene clients find the table of a channel. */
export const grapheneSource = (table: string): string => `graphene://${url(`segmentation/table/${table}`)}`;

/** Return the table of a source of this server; undefined of any other. */
export function tableOf(source: string): string | undefined {
  const start = grapheneSource("");
  return source.startsWith(start) ? source.slice(start.length).replace(/[/|].*$/, "") : undefined;
}

/** Return the roots of segments or supervoxels, at a time in seconds since 1970, or now. */
export async function rootsOf(table: string, ids: Iterable<string | bigint>, time?: number): Promise<bigint[]> {
  const body = BigUint64Array.from([...ids].map(BigInt));
  const at = time === undefined ? "" : `?timestamp=${time}`;
  const address = url(`segmentation/api/v1/table/${table}/roots_binary${at}`);
  const answer = await (await ask(address, { method: "POST", body })).arrayBuffer();
  return [...new BigUint64Array(answer)];
}
