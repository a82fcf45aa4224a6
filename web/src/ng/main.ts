/** Neuroglancer, which opens with what the address asks for: a state, a dataset, or channels. */

import "./settings";
import "./settled";
import "neuroglancer";
import { StatusMessage } from "neuroglancer/unstable/status.js";
import { setupDefaultViewer } from "neuroglancer/unstable/ui/default_viewer_setup.js";
import { KINDS, parseKey } from "../shared/server";
import { arrange, channelsOf } from "../shared/state";

async function asked(): Promise<object | undefined> {
  const wishes = new URLSearchParams(location.search);
  const dataset = wishes.get("dataset");
  const channels = dataset ? await channelsOf(dataset) : wishes.getAll("channel").map(parseKey);
  if (!channels.length) return undefined;
  const segments = wishes.get("segments")?.split(",");
  const position = wishes.get("position")?.split(",").map(Number);
  const kinds = new Map(KINDS.flatMap((kind) => wishes.getAll(kind).map((key) => [key, kind] as const)));
  return arrange(channels, { segments, position, kinds });
}

let failure: unknown;
try {
  const state = location.hash.startsWith("#!") ? undefined : await asked();
  if (state) {
    // The whole state is in the address from here on, as Neuroglancer has it.
    history.replaceState(null, "", `${location.pathname}#!${encodeURIComponent(JSON.stringify(state))}`);
  }
} catch (error) {
  failure = error;
}
setupDefaultViewer();
if (failure) {
  const status = new StatusMessage();
  status.setErrorMessage(failure instanceof Error ? failure.message : String(failure));
}
