/** The sections of one channel in a viewer: the one that is looked at, and its neighbours in advance. */

import type OpenSeadragon from "openseadragon";
import { type Channel, type ChannelName, url } from "../shared/server";

/** How many sections to either side are loaded before anybody goes there. */
const AHEAD = 2;

const SIDE = 512;

type Image = OpenSeadragon.TiledImage;

export class Stack {
  private readonly images = new Map<number, Image | "coming">();
  private z = 0;
  private step = 1;
  private shown: number | undefined;

  /**
   * `place` is the channel's left, top and width in the viewer; `below` says that others lie over it.
   * `range` has the levels of an image that are shown as black and as white.
   */
  constructor(
    private readonly viewer: OpenSeadragon.Viewer,
    private readonly name: ChannelName,
    readonly channel: Channel,
    private readonly place: { x: number; y: number; width: number },
    private readonly below: boolean,
    private opacity: number,
    private readonly range?: [number, number],
  ) {}

  /** Go to a section; the one before stays until all that is visible of the new one is there. */
  show(z: number): void {
    this.step = Math.sign(z - this.z) || this.step;
    this.z = z;
    const wanted = [z];
    for (let i = 1; i <= AHEAD; i++) wanted.push(z + i * this.step, z - i * this.step);
    for (const section of wanted) if (this.has(section)) this.load(section);
    this.turn();
  }

  fade(opacity: number): void {
    this.opacity = opacity;
    const image = this.shown === undefined ? undefined : this.images.get(this.shown);
    if (image && image !== "coming") image.setOpacity(opacity);
  }

  remove(): void {
    for (const image of this.images.values()) if (image !== "coming") this.viewer.world.removeItem(image);
    this.images.clear();
    this.opacity = 0;
  }

  private has(z: number): boolean {
    const first = this.channel.voxel_offset[2];
    return z >= first && z < first + this.channel.size[2];
  }

  private load(z: number): void {
    if (this.images.has(z)) return;
    this.images.set(z, "coming");
    const { size, mips } = this.channel;
    const coarsest = mips.length - 1;
    const [width, height] = size;
    const query = this.range ? `?range=${this.range.join(",")}` : "";
    this.viewer.addTiledImage({
      tileSource: {
        width,
        height,
        tileSize: SIDE,
        minLevel: 0,
        maxLevel: coarsest,
        getTileUrl: (level: number, column: number, row: number) =>
          url("tiles", this.name, coarsest - level, z, row, `${column}.png`) + query,
      },
      ...this.place,
      ...(this.below && { index: 0 }),
      opacity: 0,
      preload: true,
      success: (event) => {
        const image = (event as unknown as { item: Image }).item;
        // Who scrolls fast has left it behind by now.
        if (!this.images.has(z)) return this.viewer.world.removeItem(image);
        this.images.set(z, image);
        image.addHandler("fully-loaded-change", () => this.turn());
        this.turn();
      },
    });
  }

  /** Show the section that is wanted, if it is there, and let go of those far away. */
  private turn(): void {
    const next = this.images.get(this.z);
    if (this.z !== this.shown && next && next !== "coming" && next.getFullyLoaded()) {
      const last = this.shown === undefined ? undefined : this.images.get(this.shown);
      next.setOpacity(this.opacity);
      if (last && last !== "coming") last.setOpacity(0);
      this.shown = this.z;
      this.viewer.element.dataset.shown = String(this.z);
    }
    for (const [z, image] of this.images) {
      if (Math.abs(z - this.z) <= 2 * AHEAD || z === this.shown) continue;
      this.images.delete(z);
      if (image !== "coming") this.viewer.world.removeItem(image);
    }
  }
}
