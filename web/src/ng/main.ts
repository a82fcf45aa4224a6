/** Neuroglancer, which opens with what the address asks for: a state, a dataset, or channels. */

import "./settings";
import "./settled";
import "neuroglancer";
import { StatusMessage } from "neuroglancer/unstable/status.js";
import { setupDefaultViewer } from "neuroglancer/unstable/ui/default_viewer_setup.js";
import { Panel } from "./proofreading/panel";
import { KINDS, keyOf, parseKey, tokenIn } from "../shared/server";
import { type Arranged, arrange, channelsOf } from "../shared/state";

/** What `graphene=…` asks for. */
const EDITABLE: Record<string, boolean | undefined> = { "0": false, "1": true };

async function asked(): Promise<Arranged | undefined> {
  const wishes = new URLSearchParams(location.search);
  const dataset = wishes.get("dataset");
  const channels = dataset ? await channelsOf(tokenIn(dataset)) : wishes.getAll("channel").map(parseKey);
  if (!channels.length) return undefined;
  const segments = wishes.get("segments")?.split(",");
  const named = wishes.get("of");
  const of = named === null ? undefined : parseKey(named);
  if (of && !channels.some((one) => keyOf(one) === keyOf(of))) channels.push(of);
  const position = wishes.get("position")?.split(",").map(Number);
  const kinds = new Map(KINDS.flatMap((kind) => wishes.getAll(kind).map((key) => [keyOf(parseKey(key)), kind] as const)));
  return arrange(channels, { segments, of: of && keyOf(of), position, kinds, editable: EDITABLE[wishes.get("graphene") ?? ""] });
}

/** Milliseconds for which a note is shown: long enough to be read when the first tiles are there. */
const NOTED = 30_000;

let failure: unknown;
let notes: string[] = [];
try {
  const arranged = location.hash.startsWith("#!") ? undefined : await asked();
  if (arranged) {
    notes = arranged.notes;
    // The whole state is in the address from here on, as Neuroglancer has it.
    const state = encodeURIComponent(JSON.stringify(arranged.state));
    history.replaceState(null, "", `${location.pathname}#!${state}`);
  }
} catch (error) {
  failure = error;
}
const viewer = setupDefaultViewer();
new Panel(viewer);
for (const note of notes) StatusMessage.showTemporaryMessage(note, NOTED);
if (failure) {
  const status = new StatusMessage();
  status.setErrorMessage(failure instanceof Error ? failure.message : String(failure));
}
