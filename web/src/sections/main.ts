/** The section viewer: one channel, another over it, section by section, without WebGL. */

import { neuroglancer } from "../shared/addresses";
import OpenSeadragon from "openseadragon";
import { byId, el } from "../shared/dom";
import {
  type Channel,
  type ChannelName,
  ask,
  channelOf,
  contrastOf,
  keyOf,
  listed,
  names,
  parseKey,
  root,
  tokenOf,
  url,
} from "../shared/server";
import { neuronPage } from "../shared/segments";
import { firstNumber } from "./number";
import { Stack } from "./stack";

/** No more channels of a dataset are asked whether they are labels to lay over. */
const ASKED = 40;

const address = new URL(location.href);

function complain(error: unknown): void {
  const failure = byId("failure");
  failure.textContent = error instanceof Error ? error.message : String(error);
  failure.hidden = false;
}

class Sections {
  private readonly viewer = OpenSeadragon({
    element: byId("picture"),
    drawer: "canvas",
    prefixUrl: "",
    showNavigationControl: false,
    imageSmoothingEnabled: false,
    maxZoomPixelRatio: 16,
    visibilityRatio: 0.2,
    gestureSettingsMouse: { clickToZoom: false },
    animationTime: 0.4,
  });
  private readonly base: Stack;
  private over: { name: ChannelName; stack: Stack } | undefined;
  private z: number;
  private asking = new AbortController();
  private saving: number | undefined;

  constructor(
    private readonly name: ChannelName,
    private readonly channel: Channel,
    range: [number, number] | undefined,
  ) {
    const [, , first] = channel.voxel_offset;
    const asked = address.searchParams.get("z");
    this.z = this.inside(asked === null ? first + Math.floor(channel.size[2] / 2) : Number(asked));
    this.base = new Stack(this.viewer, name, channel, { x: 0, y: 0, width: 1 }, true, 1, range);
    for (const id of ["z", "z-number"]) {
      const input = byId<HTMLInputElement>(id);
      input.min = String(first);
      input.max = String(first + channel.size[2] - 1);
      input.addEventListener("input", () => input.value && this.go(Number(input.value)));
    }
    this.listen();
    this.offerSegments();
    this.home();
    this.go(this.z);
  }

  private inside(z: number): number {
    const [, , first] = this.channel.voxel_offset;
    return Math.max(first, Math.min(first + this.channel.size[2] - 1, Math.round(z) || 0));
  }

  go(z: number): void {
    this.z = this.inside(z);
    for (const id of ["z", "z-number"]) byId<HTMLInputElement>(id).value = String(this.z);
    this.base.show(this.z);
    this.over?.stack.show(this.z);
    this.remember();
  }

  lay(name: ChannelName | undefined, channel?: Channel): void {
    this.over?.stack.remove();
    this.over = undefined;
    if (name && channel) {
      const [width] = this.channel.size;
      const [left, top] = channel.voxel_offset.map((n, i) => (n - (this.channel.voxel_offset[i] ?? 0)) / width);
      const place = { x: left ?? 0, y: top ?? 0, width: channel.size[0] / width };
      this.over = { name, stack: new Stack(this.viewer, name, channel, place, false, this.opacity) };
      this.over.stack.show(this.z);
    }
    this.offerSegments(name, channel);
    this.remember();
  }

  /** Lead to the segments of the labels that are seen. */
  private offerSegments(over = this.name, channel = this.channel): void {
    const link = byId<HTMLAnchorElement>("segments");
    link.hidden = !channel.segments?.can_be_listed;
    link.href = neuronPage(over);
  }

  private get opacity(): number {
    return Number(byId<HTMLInputElement>("opacity").value);
  }

  private listen(): void {
    this.viewer.addHandler("canvas-scroll", (event) => {
      const wheel = event.originalEvent as WheelEvent;
      if (wheel.ctrlKey || wheel.metaKey) return;
      event.preventDefaultAction = true;
      this.go(this.z + Math.sign(wheel.deltaY || wheel.deltaX));
    });
    this.viewer.addHandler("pan", () => this.remember());
    this.viewer.addHandler("zoom", () => this.remember());
    this.viewer.addHandler("tile-load-failed", ({ message }) => complain(`A tile cannot be loaded: ${message}`));
    byId("picture").addEventListener("pointermove", (event) => this.look(event));
    byId("opacity").addEventListener("input", () => this.over?.stack.fade(this.opacity));
    document.addEventListener("keydown", (event) => {
      if (event.target instanceof HTMLInputElement || event.ctrlKey || event.metaKey) return;
      const step = { ",": -1, ".": 1, PageUp: -10, PageDown: 10 }[event.key];
      if (step) this.go(this.z + step);
      if (event.key === "o") {
        const slider = byId<HTMLInputElement>("opacity");
        slider.value = this.opacity ? "0" : "0.4";
        this.over?.stack.fade(this.opacity);
      }
    });
  }

  /** Say what is under the pointer: the voxel, its place, and its label. */
  private look(event: PointerEvent): void {
    const bounds = byId("picture").getBoundingClientRect();
    const pixel = new OpenSeadragon.Point(event.clientX - bounds.left, event.clientY - bounds.top);
    const point = this.viewer.viewport.pointFromPixel(pixel);
    const { size, voxel_offset, voxel_size } = this.channel;
    const [x, y] = [Math.floor(point.x * size[0]), Math.floor(point.y * size[0])];
    this.asking.abort();
    if (x < 0 || y < 0 || x >= size[0] || y >= size[1]) {
      byId("place").textContent = "";
      return;
    }
    const voxel = [x + voxel_offset[0], y + voxel_offset[1], this.z];
    const place = voxel_size && voxel.map((n, i) => Math.round((n + 0.5) * (voxel_size[i] ?? 1))).join(", ");
    const said = `x, y, z: ${voxel.join(", ")}${place ? `  ·  ${place} nm` : ""}`;
    byId("place").textContent = said;
    this.asking = new AbortController();
    void this.value(voxel, this.asking.signal).then((value) => {
      if (value) byId("place").textContent = `${said}  ·  ${value}`;
    });
  }

  private async value(voxel: number[], signal: AbortSignal): Promise<string | undefined> {
    const { name, stack } = this.over ?? { name: this.name, stack: this.base };
    const asked = names(name);
    const [x, y, z] = voxel;
    const words = { x, y, z, width: 1, height: 1, format: "raw" };
    for (const [key, value] of Object.entries(words)) asked.set(key, String(value));
    // The pointer rests before it is worth a question.
    await new Promise((rested) => setTimeout(rested, 60));
    if (signal.aborted) return undefined;
    const answer = await ask(`${url("api/data")}?${asked}`).catch(() => undefined);
    if (!answer || signal.aborted) return undefined;
    const number = firstNumber(await answer.arrayBuffer(), stack.channel.dtype);
    return signal.aborted ? undefined : `${stack.channel.kind === "segmentation" ? "id" : "level"} ${number}`;
  }

  /** Look at what the address says, or at all. */
  private home(): void {
    const words = address.searchParams;
    const { size, voxel_offset } = this.channel;
    const wanted = ["x", "y", "span"].map((word) => Number(words.get(word) ?? Number.NaN));
    const [x = 0, y = 0, span = 1] = wanted;
    const width = Number.isFinite(span) ? span / size[0] : 1;
    const aspect = size[1] / size[0];
    const bounds = wanted.every(Number.isFinite)
      ? new OpenSeadragon.Rect((x - voxel_offset[0]) / size[0] - width / 2, (y - voxel_offset[1]) / size[0], width, 0)
      : new OpenSeadragon.Rect(0, 0, 1, aspect);
    this.viewer.addOnceHandler("open", () => this.viewer.viewport.fitBounds(bounds, true));
    this.viewer.world.addOnceHandler("add-item", () => this.viewer.viewport.fitBounds(bounds, true));
  }

  /** Keep in the address what is looked at. */
  private remember(): void {
    clearTimeout(this.saving);
    this.saving = window.setTimeout(() => {
      const { size, voxel_offset } = this.channel;
      const bounds = this.viewer.viewport.getBounds();
      const centre = bounds.getCenter();
      const [x, y] = [centre.x * size[0] + voxel_offset[0], centre.y * size[0] + voxel_offset[1]].map(Math.round);
      const words = { z: this.z, x, y, span: Math.round(bounds.width * size[0]) };
      for (const [key, value] of Object.entries(words)) address.searchParams.set(key, String(value));
      if (this.over) address.searchParams.set("over", keyOf(this.over.name));
      else address.searchParams.set("over", "");
      history.replaceState(null, "", address);
      const channels = this.over ? [this.name, this.over.name] : [this.name];
      const place = [x ?? 0, y ?? 0, this.z + 0.5];
      byId<HTMLAnchorElement>("neuroglancer").href = neuroglancer(channels, [], place);
    }, 250);
  }
}

/** Offer the segmentations of the dataset to lay over, and lay the first, or what the address says. */
async function offer(sections: Sections, name: ChannelName, asked: string | null): Promise<void> {
  const dataset = (await listed()).find((one) => tokenOf(one) === name.token);
  const others = (dataset?.channels ?? [])
    .map((channel) => ({ token: name.token, name: channel.name }))
    .filter((other) => other.name !== name.name)
    .slice(0, ASKED);
  const known = new Map<string, Channel>();
  const select = byId<HTMLSelectElement>("overlay");
  const tried = await Promise.allSettled(others.map(channelOf));
  tried.forEach((one, i) => {
    const other = others[i];
    if (one.status !== "fulfilled" || !other || one.value.kind !== "segmentation") return;
    known.set(keyOf(other), one.value);
    select.append(el("option", { value: keyOf(other) }, other.name));
  });
  const lay = (key: string) => sections.lay(key ? parseKey(key) : undefined, known.get(key));
  select.addEventListener("change", () => lay(select.value));
  select.value = asked === null ? (known.keys().next().value ?? "") : asked && keyOf(parseKey(asked));
  lay(select.value);
}

async function start(): Promise<void> {
  const name = parseKey(address.searchParams.get("channel") ?? "");
  byId("title").textContent = `${name.token.split("/").at(-1)} / ${name.name}`;
  document.title = `${name.name} · Butterfly`;
  const over = address.searchParams.get("over");
  const channel = await channelOf(name);
  // All levels of a byte can be seen; those of wider or signed voxels often lie close together.
  const isWide = channel.kind === "image" && channel.dtype !== "uint8";
  const sections = new Sections(name, channel, isWide ? await contrastOf(name) : undefined);
  if (channel.kind === "image") await offer(sections, name, over);
  else byId("overlay").closest("label")?.remove();
}

if (address.searchParams.has("channel")) start().catch(complain);
else location.replace(root);
