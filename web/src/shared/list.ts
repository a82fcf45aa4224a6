/** A list of the segments of a channel: the largest first, searched, a page at a time. */

import { neuroglancer } from "./addresses";
import { el } from "./dom";
import type { ChannelName } from "./server";
import { type Segment, neuronPage, once, segmentsOf } from "./segments";
import { count, volume } from "./words";

const PAGE = 12;

/** Milliseconds of rest before what was typed is searched. */
const REST = 250;

/** Return a list that fills itself. */
export function segmentList(name: ChannelName): HTMLElement {
  const list = new List(name);
  void list.go(0);
  return list.element;
}

class List {
  readonly element: HTMLElement;
  private readonly search = el("input", {
    type: "search",
    placeholder: "Id, or name of a neuron",
    "aria-label": "Search segments: the first digits of an id, or a part of a name",
    autocomplete: "off",
    spellcheck: false,
    maxLength: 200,
  });
  private readonly status = el("p", { className: "faint", role: "status" });
  private readonly table = el("div", { className: "rows" });
  private readonly before = el("button", { type: "button", className: "quiet" }, "‹ Larger");
  private readonly after = el("button", { type: "button", className: "quiet" }, "Smaller ›");
  private start = 0;
  /** The question that is answered last counts. */
  private asked = 0;

  constructor(private readonly name: ChannelName) {
    const pages = el("nav", { className: "pages", "aria-label": "Pages of segments" }, this.before, this.after);
    this.element = el("div", { className: "segments" }, this.search, this.status, this.table, pages);
    this.before.addEventListener("click", () => void this.go(Math.max(0, this.start - PAGE)));
    this.after.addEventListener("click", () => void this.go(this.start + PAGE));
    let resting: number | undefined;
    this.search.addEventListener("input", () => {
      clearTimeout(resting);
      resting = window.setTimeout(() => void this.go(0), REST);
    });
    this.before.hidden = this.after.hidden = true;
  }

  async go(start: number): Promise<void> {
    const number = ++this.asked;
    const search = this.search.value.trim();
    // One more than a page tells whether there is another.
    const words = { sort: "voxels", start, count: PAGE + 1, ...(search && { search }) };
    try {
      const rows = await once(this.name, () => segmentsOf(this.name, words), (percent) => {
        const isWanted = number === this.asked && (this.element.isConnected || percent === null);
        if (isWanted) this.say(percent === null ? "" : `The index of all segments is being built: ${percent} %`);
        return isWanted;
      });
      if (rows) this.show(rows, start, search);
    } catch (error) {
      if (number === this.asked) this.say((error as Error).message);
    }
  }

  private say(words: string): void {
    this.status.textContent = words;
  }

  private show(rows: Segment[], start: number, search: string): void {
    this.start = start;
    const some = rows.slice(0, PAGE);
    this.before.hidden = start === 0;
    this.after.hidden = rows.length <= PAGE;
    this.table.replaceChildren(...(some.length ? [this.rows(some)] : []));
    const places = `${count(start + 1)} to ${count(start + some.length)}`;
    if (some.length) this.say(`${places}, the largest first`);
    else this.say(search ? "No segment has such an id or name." : "There are no segments.");
  }

  private rows(segments: Segment[]): HTMLElement {
    const hasVolume = segments.every(({ volume_um3 }) => volume_um3 !== undefined);
    const hasSynapses = segments.every(({ synapses_in }) => synapses_in !== undefined);
    const titles = ["Segment", hasVolume ? "Volume" : "Voxels", ...(hasSynapses ? ["In", "Out"] : []), ""];
    const head = titles.map((title) =>
      title ? el("th", { scope: "col" }, title) : el("td", {}),
    );
    const body = segments.map((segment) =>
      el(
        "tr",
        {},
        el("td", {}, el("a", { href: neuronPage(this.name, segment.id) }, segment.id)),
        el("td", {}, hasVolume ? volume(segment.volume_um3 ?? 0) : count(segment.voxels)),
        hasSynapses && el("td", {}, count(segment.synapses_in ?? 0)),
        hasSynapses && el("td", {}, count(segment.synapses_out ?? 0)),
        el("td", {}, el("a", { href: this.opened(segment), "aria-label": `${segment.id} in 3-D, in Neuroglancer` }, "3-D")),
      ),
    );
    return el("table", {}, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...body));
  }

  private opened({ id, x, y, z }: Segment): string {
    return neuroglancer({ dataset: this.name.token }, [id], [x + 0.5, y + 0.5, z + 0.5], this.name);
  }
}
