/** Lists of operations: the latest ones, and those that led to the selected segment. */

import { el } from "../../shared/dom";
import { name } from "./author";
import { type Context, toggle, visit } from "./context";
import type { Operation } from "./graph";
import { ago, author, done } from "./words";

/** Operations of a list. */
const LISTED = 20;

/** Make the list of operations, each with its place and what takes it back. */
function list(context: Context, operations: Operation[], empty: string): HTMLElement {
  if (!operations.length) return el("p", { className: "faint" }, empty);
  return el("ol", { className: "operations" }, ...operations.map((one) => row(context, one)));
}

function row(context: Context, one: Operation): HTMLLIElement {
  const what = `#${one.operation}`;
  const button = (text: string, label: string, task: () => Promise<void>) =>
    el("button", { type: "button", "aria-label": label, onclick: () => context.run(task) }, text);
  const isUndo = one.kind === "undo";
  return el(
    "li",
    { "data-operation": one.operation },
    el("p", {}, `${what} ${author(one)} `, done(one)),
    el("time", { className: "faint", dateTime: one.time, title: one.time }, ago(one.time)),
    button("Go to", `Go to the place of ${what}`, () => visit(context, one)),
    one.undone_by === null
      ? isUndo
        ? button("Redo", `Redo what ${what} took back`, () => toggle(context, "redo", one.undoes, name()))
        : button("Undo", `Undo ${what}`, () => toggle(context, "undo", [one.operation], name()))
      : el("span", { className: "faint" }, `taken back by #${one.undone_by}`),
  );
}

/** The operations of all. */
export class Latest {
  readonly element = section("Latest operations");

  async show(context: Context): Promise<void> {
    const { operations } = await context.editable.graph.log({ count: LISTED });
    fill(this.element, list(context, operations, "There is no operation yet."));
  }
}

/** The operations that led to the segment that was selected last. */
export class History {
  readonly element = section("Selected segment");
  private shown = 0n;

  async show(context: Context): Promise<void> {
    const { editable } = context;
    const root = editable.selected.at(-1);
    this.shown = root ?? 0n;
    if (root === undefined) {
      return fill(this.element, el("p", { className: "faint" }, "Double-click a segment to select it."));
    }
    const operations = await editable.graph.history(root, LISTED);
    // The selection may have changed since.
    if (this.shown !== root) return;
    const title = el("p", { className: "mono" }, String(root));
    fill(this.element, title, list(context, operations, "No operation changed this segment."));
  }
}

/** Take back the last own operation, or do again what was taken back last. */
export async function last(context: Context, action: "undo" | "redo"): Promise<void> {
  const { operations } = await context.editable.graph.log({ by: name(), count: 200 });
  const open = operations.filter(({ undone_by }) => undone_by === null);
  const found = open.find(({ kind }) => (kind === "undo") === (action === "redo"));
  if (!found) throw new Error(`Nothing of ${name()} is left to ${action}.`);
  await toggle(context, action, action === "redo" ? found.undoes : [found.operation], name());
}

export function section(title: string, ...children: Node[]): HTMLElement {
  return el("section", { "aria-label": title }, el("h2", {}, title), ...children);
}

function fill(element: HTMLElement, ...children: Node[]): void {
  element.replaceChildren(element.firstElementChild as Element, ...children);
}
