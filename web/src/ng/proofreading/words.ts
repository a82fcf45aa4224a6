/** Operations in words. */

import { many } from "../../shared/words";
import type { Difference, Operation } from "./graph";

const KINDS: Record<string, string> = {
  merge: "merged",
  cut: "split",
  split: "marked a split",
  import: "imported a table",
  patch: "painted",
  undo: "took back",
};

/** Return what an operation did, after the name of its author. */
export function done({ kind, undoes, segments, count }: Operation): string {
  const verb = KINDS[kind] ?? kind;
  if (kind === "undo") return `${verb} ${undoes.map((id) => `#${id}`).join(", ")}`;
  const ids = segments.slice(0, 3).map(({ id }) => id);
  const rest = count > ids.length ? ` and ${count - ids.length} more` : "";
  return ids.length ? `${verb} ${kind === "cut" ? "into " : "into segment "}${ids.join(" + ")}${rest}` : verb;
}

export const author = ({ user }: Operation): string => user || "Without a name";

const UNITS: [number, string][] = [
  [86_400, "day"],
  [3_600, "hour"],
  [60, "minute"],
];

/** Return how long ago a time was. */
export function ago(time: string, now = Date.now()): string {
  const seconds = Math.max(0, (now - Date.parse(time)) / 1000);
  const [length, unit] = UNITS.find(([length]) => seconds >= length) ?? [0, ""];
  return length ? `${many(Math.floor(seconds / length), unit)} ago` : "just now";
}

/** Return a difference: the segments that became others. */
export function changed({ from, to }: Difference): string {
  const named = (side: { id: string }[]) => {
    const ids = side.slice(0, 3).map(({ id }) => id);
    return ids.join(" + ") + (side.length > ids.length ? ` and ${side.length - ids.length} more` : "");
  };
  return `${named(from)} → ${named(to)}`;
}
