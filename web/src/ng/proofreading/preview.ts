/** The preview of a split, in red and blue. */

import { el } from "../../shared/dom";
import { url } from "../../shared/server";
import { count, many } from "../../shared/words";
import type { Context } from "./context";
import { section } from "./history";
import { type Editable, addLayer, removeLayer } from "./layers";

const LAYER = "split preview";

/** Colours of the two groups, as the tool for multicuts has them. */
const RED = "#ff3b30";
const BLUE = "#3d7bff";

/** Opacity of the segmentation beneath. */
const FAINT = 0.06;

export class SplitPreview {
  readonly element: HTMLElement;
  private restore?: () => void;

  constructor(private readonly context: () => Context) {
    const button = (text: string, task: (context: Context) => Promise<void>) => {
      const onclick = () => this.context().run(() => task(this.context()));
      return el("button", { type: "button", onclick }, text);
    };
    this.element = section(
      "Split preview",
      el("p", { className: "faint" }, "Mark red and blue points with the tool Multicut of the tab Graph."),
      el(
        "p",
        { className: "buttons" },
        button("Preview the split", (context) => this.show(context)),
        button("Clear the preview", async () => this.clear()),
      ),
    );
  }

  /** Remove the preview, if there is one. */
  clear(): void {
    this.restore?.();
    this.restore = undefined;
  }

  private async show(context: Context): Promise<void> {
    const { viewer, editable } = context;
    const [red, blue] = [places(editable.multicut.sinks), places(editable.multicut.sources)];
    if (!red.length || !blue.length) throw new Error("Mark a red and a blue point first.");
    const found = await editable.graph.preview(red, blue);
    this.clear();
    const { channel } = editable.graph;
    const colours = [
      ...found.sources.map((id) => [id, RED] as const),
      ...found.sinks.map((id) => [id, BLUE] as const),
    ];
    addLayer(viewer, LAYER, {
      type: "segmentation",
      source: `${url("pre", channel)}/?labels=patched|neuroglancer-precomputed:`,
      segments: colours.map(([id]) => id),
      segmentColors: Object.fromEntries(colours),
      selectedAlpha: 0.6,
    });
    const stop = editable.multicut.changed.add(() => this.clear());
    const unfade = fade(editable);
    this.restore = () => {
      stop();
      unfade();
      removeLayer(viewer, LAYER);
    };
    const inside = found.inside.length ? ` ${many(found.inside.length, "supervoxel")} would be split inside.` : "";
    context.say(
      `Red has ${many(found.sources.length, "supervoxel")}, blue ${count(found.sinks.length)}; ` +
        `the cut is ${Number(found.area_um2.toPrecision(2))} µm².${inside}`,
    );
  }
}

function places(points: Iterable<{ position: Iterable<number> }>): number[][] {
  return [...points].map(({ position }) => [...position].map(Math.floor));
}

/** Let the segmentation fade behind the preview; returns what ends that. */
function fade(editable: Editable): () => void {
  const { objectAlpha, selectedAlpha } = editable.display;
  const before = [objectAlpha.value, selectedAlpha.value] as const;
  objectAlpha.value = selectedAlpha.value = FAINT;
  return () => {
    [objectAlpha.value, selectedAlpha.value] = before;
  };
}
