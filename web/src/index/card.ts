/** A card: the picture of a channel, what it is, and the ways to open it. */

import { neuroglancer, sections } from "../shared/addresses";
import { el } from "../shared/dom";
import { type Channel, type ChannelName, channelOf, url } from "../shared/server";
import { lengths, voxels } from "../shared/words";

/** Return a channel's size, where its voxels have one. */
export function physical({ size, voxel_size }: Channel): string | undefined {
  return voxel_size ? lengths(size.map((n, i) => n * (voxel_size[i] ?? 1))) : undefined;
}

export class Card {
  readonly element: HTMLElement;
  readonly channel: ChannelName;
  readonly words: string;
  private readonly picture = el("div", { className: "picture" });
  private readonly facts = el("p", { className: "facts" });
  private readonly ways = el("div", { className: "ways" });
  private readonly box: HTMLInputElement;

  constructor(
    token: string,
    { name, description }: { name: string; description: string },
    private readonly choose: (channel: ChannelName, picked: boolean) => void,
    show: (channel: ChannelName) => void,
  ) {
    this.channel = { token, name };
    this.words = `${name} ${description}`.toLowerCase();
    const title = el("button", { type: "button" }, name);
    title.addEventListener("click", () => show(this.channel));
    this.box = el("input", { type: "checkbox", "aria-label": `Choose ${name}` });
    this.box.addEventListener("change", () => this.pick(this.box.checked));
    this.element = el(
      "li",
      { className: "card" },
      this.picture,
      el("label", { className: "pick" }, this.box),
      el("div", { className: "words" }, el("h3", {}, title), description && el("p", {}, description), this.facts),
      this.ways,
    );
  }

  pick(picked: boolean): void {
    this.box.checked = picked;
    this.element.classList.toggle("chosen", picked);
    this.choose(this.channel, picked);
  }

  /** Learn what the channel is, or why it cannot be opened. */
  async fill(): Promise<void> {
    let channel: Channel;
    try {
      channel = await channelOf(this.channel);
    } catch (error) {
      this.element.classList.add("broken");
      this.picture.replaceChildren(el("p", {}, (error as Error).message));
      this.facts.textContent = "cannot be opened";
      return;
    }
    this.picture.replaceChildren(el("img", { src: url("browse", this.channel, "thumbnail"), alt: "", decoding: "async" }));
    const size = physical(channel);
    this.facts.replaceChildren(
      `${channel.kind} · ${channel.dtype} · ${channel.format}`,
      el("br"),
      `${voxels(channel.size)} voxels (x, y, z)`,
      el("br"),
      channel.voxel_size ? `voxel ${lengths(channel.voxel_size)}` : "voxel size unknown",
      ...(size ? [el("br"), size] : []),
    );
    const { name } = this.channel;
    this.ways.replaceChildren(
      el("a", { href: neuroglancer([this.channel]), "aria-label": `${name} in Neuroglancer` }, "Neuroglancer"),
      el("a", { href: sections(this.channel), "aria-label": `Sections of ${name}` }, "Sections"),
    );
  }
}
