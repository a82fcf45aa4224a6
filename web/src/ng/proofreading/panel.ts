/** The panel "Proofreading" beside Neuroglancer, for segmentations that can be edited. */

import "./panel.css";
import { StatusMessage } from "neuroglancer/unstable/status.js";
import type { Viewer } from "neuroglancer/unstable/viewer.js";
import { el } from "../../shared/dom";
import { name, rename } from "./author";
import type { Context } from "./context";
import type { Operation } from "./graph";
import { History, Latest, last } from "./history";
import { type Editable, editables } from "./layers";
import { Live } from "./live";
import { SplitPreview } from "./preview";
import { States } from "./states";
import { author, done } from "./words";

/** Milliseconds for which a note on an edit of another person is shown. */
const NOTED = 10_000;

/** Milliseconds between two changes of the layers, after which they are looked through. */
const SETTLED = 300;

export class Panel {
  private readonly choice = el("select", {});
  private readonly status = el("p", { role: "status", className: "notice" });
  private readonly history = new History();
  private readonly latest = new Latest();
  private readonly preview = new SplitPreview(() => this.context);
  private readonly states = new States(() => this.context);
  private readonly toggle = el("button", { type: "button", id: "proofreading-toggle", "aria-controls": "proofreading" }, "Proofreading");
  private readonly element: HTMLElement;
  private all: Editable[] = [];
  private chosen?: Editable;
  private live?: Live;
  private unwatch?: () => void;
  private timer = 0;

  constructor(private readonly viewer: Viewer) {
    const user = el("input", { value: name(), maxLength: 200, autocomplete: "name" });
    user.addEventListener("change", () => {
      rename(user.value);
      user.value = name();
    });
    this.choice.addEventListener("change", () => this.choose(this.all[this.choice.selectedIndex]));
    const button = (action: "undo" | "redo", text: string) =>
      el("button", { type: "button", onclick: () => this.context.run(() => last(this.context, action)) }, text);
    this.element = el(
      "aside",
      { id: "proofreading", "aria-label": "Proofreading" },
      el("label", {}, "Segmentation", this.choice),
      el("label", {}, "Your name", user),
      el("p", { className: "buttons" }, button("undo", "Undo my last"), button("redo", "Redo my last")),
      this.status,
      this.history.element,
      this.latest.element,
      this.preview.element,
      this.states.element,
    );
    // Keys of Neuroglancer are not for what is typed here.
    for (const kind of ["keydown", "keyup", "keypress", "copy", "paste"]) {
      this.element.addEventListener(kind, (event) => event.stopPropagation());
    }
    this.toggle.addEventListener("click", () => this.open(this.element.hidden));
    document.body.append(this.element, this.toggle);
    this.toggle.hidden = this.element.hidden = true;
    viewer.layerManager.layersChanged.add(() => this.soon());
    this.soon();
  }

  private get context(): Context {
    const editable = this.chosen;
    if (!editable) throw new Error("No segmentation can be edited.");
    return {
      viewer: this.viewer,
      editable,
      say: (text) => this.say(text),
      run: (task) => void task().catch((error) => this.fail(error)),
      look: async () => this.live?.look(),
    };
  }

  private say(text: string): void {
    this.status.textContent = text;
    this.status.classList.remove("wrong");
  }

  private fail(error: unknown): void {
    this.say(error instanceof Error ? error.message : String(error));
    this.status.classList.add("wrong");
  }

  private open(isOpen: boolean): void {
    this.element.hidden = !isOpen;
    this.toggle.setAttribute("aria-expanded", String(isOpen));
    document.body.classList.toggle("with-panel", isOpen);
  }

  /** Look through the layers when they have settled. */
  private soon(): void {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.find().catch((error) => this.fail(error)), SETTLED);
  }

  private async find(): Promise<void> {
    const before = this.all.length;
    this.all = await editables(this.viewer, name);
    this.choice.replaceChildren(...this.all.map(({ managed }) => el("option", {}, managed.name)));
    this.toggle.hidden = !this.all.length;
    if (!this.all.length) this.open(false);
    else if (!before) this.open(matchMedia("(min-width: 60rem)").matches);
    const chosen = this.all.find((one) => one === this.chosen) ?? this.all[0];
    if (chosen !== this.chosen) this.choose(chosen);
    this.choice.selectedIndex = chosen ? this.all.indexOf(chosen) : -1;
  }

  private choose(editable: Editable | undefined): void {
    this.live?.stop();
    this.unwatch?.();
    this.preview.clear();
    this.chosen = editable;
    if (!editable) return;
    this.say(`Edits of ${editable.managed.name} appear as they are made.`);
    this.unwatch = editable.onSelection(() => this.showHistory());
    this.live = new Live(
      editable,
      (operations) => this.told(operations),
      (error) => this.fail(error),
    );
  }

  /** Show new operations; say who did what, unless it was done here. */
  private told(operations: Operation[]): void {
    const { context } = this;
    for (const one of operations.filter(({ user }) => user !== name()).reverse()) {
      const text = `${author(one)} ${done(one)} (#${one.operation}).`;
      StatusMessage.showTemporaryMessage(text, NOTED);
      this.say(text);
    }
    if (operations.length) this.preview.clear();
    context.run(() => this.latest.show(context));
    this.showHistory();
  }

  private showHistory(): void {
    const { context } = this;
    context.run(() => this.history.show(context));
  }
}
