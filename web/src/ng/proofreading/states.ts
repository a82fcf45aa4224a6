/** Past states: one as a layer beside the latest, and what has changed since. */

import { el } from "../../shared/dom";
import { many } from "../../shared/words";
import type { Context } from "./context";
import { grapheneSource, rootsOf } from "../../shared/graphene";
import type { Difference } from "./graph";
import { section } from "./history";
import { addLayer, jump } from "./layers";
import { changed } from "./words";

const DAY = 86_400_000;

/** Differences that are listed. */
const LISTED = 50;

export class States {
  readonly element: HTMLElement;
  private readonly time = el("input", { type: "datetime-local", step: 1, value: local(Date.now() - DAY) });
  private readonly found = el("div", {});

  constructor(private readonly context: () => Context) {
    const button = (text: string, task: (context: Context) => Promise<void>) => {
      const onclick = () => this.context().run(() => task(this.context()));
      return el("button", { type: "button", onclick }, text);
    };
    this.element = section(
      "Past states",
      el("label", {}, "State of", this.time),
      el(
        "p",
        { className: "buttons" },
        button("Show this state", (context) => this.show(context)),
        button("List what changed since", (context) => this.compare(context)),
      ),
      this.found,
    );
  }

  /** The chosen time, in seconds since 1970. */
  private get seconds(): number {
    const time = Date.parse(this.time.value);
    if (Number.isNaN(time)) throw new Error("Choose a day and a time.");
    return Math.floor(time / 1000);
  }

  private async show({ viewer, editable, say }: Context): Promise<void> {
    const { table } = editable.graph;
    const { seconds } = this;
    const members = await Promise.all(editable.selected.map((root) => editable.graph.supervoxels(root)));
    const roots = await rootsOf(table, members.flat(), seconds);
    const when = new Date(seconds * 1000).toLocaleString();
    addLayer(viewer, `${editable.managed.name} ${when}`, {
      type: "segmentation",
      source: grapheneSource(`${table}.t${seconds}`),
      segments: [...new Set(roots)].map(String),
    });
    editable.managed.setVisible(false);
    say(`The state of ${when} is a layer of its own; the latest one is hidden.`);
  }

  private async compare(context: Context): Promise<void> {
    const from = new Date(this.seconds * 1000).toISOString();
    const { total, differences } = await context.editable.graph.diff(from, LISTED);
    const more = total > differences.length ? `, the first ${differences.length} of them here` : "";
    context.say(`${many(total, "difference")} since then${more}.`);
    const rows = differences.map((one) => row(context, one));
    this.found.replaceChildren(el("ol", { className: "operations", "aria-label": "Differences" }, ...rows));
  }
}

function row(context: Context, one: Difference): HTMLLIElement {
  const what = changed(one);
  const visit = async () => {
    const { viewer, editable } = context;
    const { low, high } = one;
    if (!low || !high) throw new Error("Its place is known once the label index is there.");
    jump(viewer, editable.graph, low.map((start, i) => Math.floor((start + (high[i] ?? start)) / 2)));
    const members = one.to.flatMap(({ supervoxels }) => supervoxels);
    editable.select([...new Set(await rootsOf(editable.graph.table, members))]);
  };
  const onclick = () => context.run(visit);
  return el(
    "li",
    {},
    el("p", {}, what),
    el("span", { className: "faint" }, many(one.to.concat(one.from).length, "segment")),
    el("button", { type: "button", "aria-label": `Go to ${what}`, onclick }, "Go to"),
  );
}

/** Return a time as an input takes it: local, without a zone. */
function local(time: number): string {
  const offset = new Date(time).getTimezoneOffset() * 60_000;
  return new Date(time - offset).toISOString().slice(0, 19);
}
