/** What is selected when a dataset is opened: an empty 3-D panel shows nothing. */

import type { Channel, ChannelName } from "./server";
import { segmentsOf } from "./segments";

/** So many of the largest segments are selected. */
const SELECTED = 8;

/** What is selected, and what to say about it. */
export interface Selection {
  segments: string[];
  note?: string;
}

/** Return the largest segments of a channel with meshes; none if the server cannot tell them soon. */
export async function largest(name: ChannelName, { segments }: Channel): Promise<Selection> {
  if (!segments?.meshes || !segments.can_be_listed) return { segments: [] };
  try {
    const rows = await segmentsOf(name, { sort: "voxels", start: 0, count: SELECTED });
    return { segments: rows.map(({ id }) => id) };
  } catch (error) {
    return { segments: [], note: `No segment is selected: ${(error as Error).message}` };
  }
}
