/** The sheet of one channel: all facts, and how to use it from elsewhere. */

import { neuroglancer, neuroglancerAs, sections } from "../shared/addresses";
import { copyButton, el } from "../shared/dom";
import { segmentList } from "../shared/list";
import { type Channel, type ChannelName, KINDS, type Kind, channelOf, keyOf, parseKey, url } from "../shared/server";
import { lengths, voxels } from "../shared/words";
import { physical } from "./card";
import { sizeField } from "./size";
import { snippets } from "./snippets";

export class Sheet {
  constructor(
    private readonly dialog: HTMLDialogElement,
    private readonly changed: (channel: ChannelName) => void,
  ) {
    dialog.addEventListener("close", () => this.address(undefined));
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close();
    });
  }

  /** Show the channel that the address names, now and when it changes. */
  followAddress(): void {
    const follow = () => {
      const named = /^#channel=(.+)$/.exec(location.hash)?.[1];
      if (named) void this.show(parseKey(decodeURIComponent(named)));
    };
    window.addEventListener("hashchange", follow);
    follow();
  }

  private address(channel: ChannelName | undefined): void {
    const page = new URL(location.href);
    page.hash = channel ? `channel=${encodeURIComponent(keyOf(channel))}` : "";
    history.replaceState(history.state, "", page);
  }

  async show(name: ChannelName): Promise<void> {
    this.address(name);
    const close = el("button", { type: "button", className: "quiet", "aria-label": "Close" }, "✕");
    close.addEventListener("click", () => this.dialog.close());
    const sheet = el(
      "div",
      { className: "sheet" },
      el(
        "header",
        {},
        el("div", {}, el("p", { className: "faint" }, name.token.split("/").join(" / ")), el("h2", { id: "channel-name" }, name.name)),
        close,
      ),
    );
    this.dialog.replaceChildren(sheet);
    if (!this.dialog.open) this.dialog.showModal();
    try {
      const channel = await channelOf(name);
      sheet.append(
        el("img", { className: "picture", src: url("browse", name, "thumbnail"), alt: `The middle section of ${name.name}` }),
        el("div", {}, facts(channel), this.ways(name, channel), sizeField(name, channel, () => this.saved(name))),
        ...(channel.segments?.can_be_listed ? [segments(name)] : []),
        use(name, channel),
      );
    } catch (error) {
      sheet.append(el("p", { className: "notice wrong use" }, (error as Error).message));
    }
  }

  private saved(name: ChannelName): void {
    this.changed(name);
    void this.show(name);
  }

  private ways(name: ChannelName, channel: Channel): HTMLElement {
    const open = el("a", { className: "button primary", href: neuroglancer([name]) }, "Open in Neuroglancer");
    const shownAs = kinds(channel, (kind) => {
      open.href = kind === channel.kind ? neuroglancer([name]) : neuroglancerAs(name, kind);
    });
    return el(
      "div",
      { className: "actions" },
      open,
      // Neuroglancer has no segments of floating-point numbers.
      channel.dtype.startsWith("float") ? null : shownAs,
      el("a", { className: "button", href: sections(name) }, "Sections"),
      copyButton("Copy link", () => location.href),
    );
  }
}

/** Return a choice of what a channel is shown as in Neuroglancer. */
function kinds(channel: Channel, choose: (kind: Kind) => void): HTMLElement {
  const words: Record<Kind, string> = { image: "as an image", segmentation: "as labels" };
  const options = KINDS.map((kind) => el("option", { value: kind, selected: kind === channel.kind }, words[kind]));
  const list = el("select", { "aria-label": "Show in Neuroglancer" }, ...options);
  list.addEventListener("change", () => choose(list.value as Kind));
  return list;
}

function facts(channel: Channel): HTMLElement {
  const { kind, kind_source, kind_doubt, format, dtype, stored_dtype, size, voxel_offset, voxel_size, mips } = channel;
  const rows: [string, string | undefined][] = [
    ["Kind", `${kind} (${kind_source})`],
    ["Doubt", kind_doubt && `${kind_doubt}; "kind" in the configuration decides`],
    ["Format", format],
    ["Type", stored_dtype === dtype ? dtype : `${dtype} (${stored_dtype} in the file)`],
    ["Voxels (x, y, z)", voxels(size)],
    ["Voxel size (x, y, z)", voxel_size ? lengths(voxel_size) : "unknown"],
    ["Extent (x, y, z)", physical(channel)],
    ["First voxel (x, y, z)", voxel_offset.some(Boolean) ? voxel_offset.join(", ") : undefined],
    ["Mips", String(mips.length)],
  ];
  return el("dl", {}, ...rows.flatMap(([term, fact]) => (fact ? [el("dt", {}, term), el("dd", {}, fact)] : [])));
}

/** Return the largest segments of a channel. */
function segments(name: ChannelName): HTMLElement {
  return el("section", { className: "use" }, el("h3", {}, "Segments"), segmentList(name));
}

/** Return the tabs of the ways to use a channel, of which arrow keys choose one. */
function use(name: ChannelName, channel: Channel): HTMLElement {
  const all = snippets(name, channel);
  const code = el("code");
  const panel = el("div", { className: "snippet", role: "tabpanel", id: "snippet" }, el("pre", { tabIndex: 0 }, code));
  panel.append(copyButton("Copy", () => code.textContent ?? ""));
  const note = el("p", { className: "note" });
  const tabs = all.map(({ title }, index) => {
    const tab = el("button", { type: "button", role: "tab", id: `use-${index}`, "aria-controls": "snippet" }, title);
    tab.addEventListener("click", () => select(index));
    return tab;
  });
  const select = (index: number) => {
    tabs.forEach((tab, i) => {
      tab.setAttribute("aria-selected", String(i === index));
      tab.tabIndex = i === index ? 0 : -1;
    });
    panel.setAttribute("aria-labelledby", `use-${index}`);
    code.textContent = all[index]?.code ?? "";
    note.textContent = all[index]?.note ?? "";
  };
  const list = el("div", { className: "tabs", role: "tablist", "aria-label": "Use it from" }, ...tabs);
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const now = tabs.findIndex((tab) => tab === document.activeElement);
    const next = (now + step + tabs.length) % tabs.length;
    select(next);
    tabs[next]?.focus();
  });
  select(0);
  return el("section", { className: "use" }, el("h3", {}, "Use it from…"), list, panel, note);
}
