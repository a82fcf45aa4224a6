/** What the parts of the panel share. */

import type { Viewer } from "neuroglancer/unstable/viewer.js";
import { segmentsOf } from "../../shared/segments";
import type { Operation } from "./graph";
import { type Editable, jump } from "./layers";

export interface Context {
  viewer: Viewer;
  /** The segmentation that is chosen. */
  editable: Editable;
  /** Say something in the panel. */
  say(text: string): void;
  /** Do something, and say what went wrong. */
  run(task: () => Promise<void>): void;
  /** Look for new operations at once. */
  look(): Promise<void>;
}

/** Take back operations, or do them again, as the person at the page. */
export async function toggle(
  context: Context,
  action: "undo" | "redo",
  operations: number[],
  user: string,
): Promise<void> {
  await context.editable.graph.toggle(action, operations, user);
  context.say(`${action === "undo" ? "Took back" : "Did again"} ${operations.map((id) => `#${id}`).join(", ")}.`);
  await context.look();
}

/** Go to where an operation was: to its points, or else to a segment that it made. */
export async function visit({ viewer, editable }: Context, operation: Operation): Promise<void> {
  const [point] = operation.points;
  const [segment] = operation.segments;
  if (point) return jump(viewer, editable.graph, point);
  if (!segment) throw new Error(`The place of #${operation.operation} is unknown.`);
  const [found] = await segmentsOf(editable.graph.channel, { ids: segment.id });
  if (!found) throw new Error(`The segment ${segment.id} is no longer there.`);
  jump(viewer, editable.graph, [found.x, found.y, found.z]);
}
