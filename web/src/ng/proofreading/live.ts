/** Follow a segmentation: edits of others are shown without a reload. */

import type { Operation } from "./graph";
import type { Editable } from "./layers";

/** Milliseconds between two looks at the log. */
const PAUSE = 1000;

/** Operations that are told at once; the segments of all are swapped. */
const TOLD = 50;

export class Live {
  private last = -1;
  private timer = 0;
  private isOver = false;

  /**
   * @param told Is given new operations, the latest first, and none at the start; the selection is up to date by then.
   * @param failed Is given what went wrong; the next look comes all the same.
   */
  constructor(
    private readonly editable: Editable,
    private readonly told: (operations: Operation[]) => void,
    private readonly failed: (error: unknown) => void,
  ) {
    void this.follow();
  }

  stop(): void {
    this.isOver = true;
    clearTimeout(this.timer);
  }

  private async follow(): Promise<void> {
    try {
      await this.look();
    } catch (error) {
      if (!this.isOver) this.failed(error);
    }
    if (!this.isOver) this.timer = window.setTimeout(() => void this.follow(), PAUSE);
  }

  /** Look for new operations, and swap the roots that they replaced. */
  async look(): Promise<void> {
    const { last, operations } = await this.editable.graph.log({ count: this.last < 0 ? 1 : TOLD });
    if (last === this.last || this.isOver) return;
    const successors = await this.editable.graph.successors(this.editable.selected);
    if (this.isOver || last === this.last) return;
    for (const [root, next] of successors) this.editable.replace(root, next);
    const unseen = operations.filter(({ operation }) => this.last >= 0 && operation > this.last);
    this.last = last;
    this.told(unseen);
  }
}
