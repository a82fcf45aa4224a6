/** What the server knows of a segmentation that is edited: root ids, their successors, operations. */

import { rootsOf } from "../../shared/graphene";
import { type ChannelName, ask, url } from "../../shared/server";

/** An operation of the log. */
export interface Operation {
  operation: number;
  kind: string;
  user: string;
  time: string;
  segments: { id: string }[];
  count: number;
  points: [number, number, number][];
  undoes: number[];
  undone_by: number | null;
}

export interface Preview {
  sources: string[];
  sinks: string[];
  area_um2: number;
  inside: { supervoxel: string }[];
}

interface Side {
  id: string;
  supervoxels: string[];
  count: number;
}

export interface Difference {
  from: Side[];
  to: Side[];
  low: number[] | null;
  high: number[] | null;
}

interface Info {
  edits: string;
  graph: { n_bits_for_layer_id: number };
  scales: { resolution: number[] }[];
}

/** One segmentation, by the name that graphene clients have for it. */
export class Graph {
  private constructor(
    readonly table: string,
    private readonly info: Info,
  ) {}

  static async open(table: string): Promise<Graph> {
    return new Graph(table, await (await ask(url(`segmentation/table/${table}/info`))).json());
  }

  /** The channel. */
  get channel(): ChannelName {
    const [path = ""] = this.info.edits.split("/api/edits/").slice(-1);
    const names = path.split("/").map(decodeURIComponent);
    return { token: names.slice(0, 3).join("/"), name: names[3] ?? "" };
  }

  /** Nanometres of a voxel. */
  get resolution(): number[] {
    return this.info.scales[0]?.resolution ?? [1, 1, 1];
  }

  /** Return whether an id is one of a segment, rather than of a supervoxel. */
  isRoot(id: bigint): boolean {
    return id >> BigInt(64 - this.info.graph.n_bits_for_layer_id) >= 2n;
  }

  async log(words: Record<string, string | number>): Promise<{ last: number; operations: Operation[] }> {
    return this.get("log", words);
  }

  /** Return the latest operations that led to a segment, the last first. */
  async history(root: bigint, count: number): Promise<Operation[]> {
    const { operations_ids } = await (await ask(this.call(`root/${root}/change_log`))).json();
    const latest: number[] = operations_ids.slice(-count).reverse();
    return Promise.all(latest.map((id) => this.get<Operation>("operation", { id })));
  }

  /** Return what became of roots that are no longer there; those that are, are left out. */
  async successors(roots: bigint[]): Promise<Map<bigint, bigint[]>> {
    const ended = new Map<bigint, bigint[]>();
    const body = JSON.stringify({ node_ids: roots.map(String) });
    const { is_latest } = await (await ask(this.call("is_latest_roots"), { method: "POST", body })).json();
    const old = roots.filter((_, i) => !is_latest[i]);
    await Promise.all(old.map(async (root) => ended.set(root, await this.becameOf(root))));
    return ended;
  }

  private async becameOf(root: bigint): Promise<bigint[]> {
    return [...new Set(await rootsOf(this.table, await this.supervoxels(root)))].filter(Boolean);
  }

  /** Return the supervoxels of a root, as graphene clients see them. */
  async supervoxels(root: bigint): Promise<string[]> {
    return (await (await ask(this.call(`node/${root}/leaves?int64_as_str=1`))).json()).leaf_ids;
  }

  preview(sources: number[][], sinks: number[][]): Promise<Preview> {
    return this.post("preview", { sources, sinks });
  }

  /** Take back operations, or do again what was taken back. */
  toggle(action: "undo" | "redo", operations: number[], user: string): Promise<Operation> {
    return this.post(action, { operations, user });
  }

  diff(from: string, count: number): Promise<{ total: number; differences: Difference[] }> {
    return this.get("diff", { from, count });
  }

  private call(path: string): string {
    return url(`segmentation/api/v1/table/${this.table}/${path}`);
  }

  private edits(action: string): string {
    const { token, name } = this.channel;
    return url("api/edits", { token, name }, action);
  }

  private async get<T>(action: string, words: Record<string, string | number>): Promise<T> {
    const asked = Object.entries(words).map(([name, value]) => [name, String(value)]);
    return (await ask(`${this.edits(action)}?${new URLSearchParams(asked)}`)).json();
  }

  private async post<T>(action: string, words: object): Promise<T> {
    return (await ask(this.edits(action), { method: "POST", body: JSON.stringify(words) })).json();
  }
}
