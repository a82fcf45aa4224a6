/** The segmentations in the viewer that can be edited, and what is selected in them. */

import { makeLayer, type ManagedUserLayer } from "neuroglancer/unstable/layer/index.js";
import { type Viewer } from "neuroglancer/unstable/viewer.js";
import { tableOf } from "../../shared/graphene";
import { Graph } from "./graph";

/** A set of ids, as Neuroglancer has them. */
interface Ids extends Iterable<bigint> {
  has(id: bigint): boolean;
  add(ids: bigint | bigint[]): void;
  delete(ids: bigint | bigint[]): void;
  changed: { add(told: () => void): () => void };
}

/** A point of the tool for multicuts: in voxels, x, y, z. */
interface Point {
  segmentId: bigint;
  rootId: bigint;
  position: Iterable<number>;
}

interface Multicut {
  /** The red and the blue group. */
  sinks: Iterable<Point>;
  sources: Iterable<Point>;
  focusSegment: { value: bigint | undefined };
  changed: { add(told: () => void): () => void };
  reset(): void;
}

type Fetch = (address: string, ...rest: unknown[]) => Promise<Response>;

/** What Neuroglancer has of a graph that is edited; its own types do not say so. */
interface Connection {
  graph: { graphServer: { httpSource: { fetchOkImpl: Fetch; baseUrl: string } } };
  state: { multicutState: Multicut };
  meshAddNewSegments(roots: bigint[]): void;
}

interface Drawn {
  graphConnection?: { value?: Connection };
  dataSources: { spec: { url: string } }[];
  displayState: {
    segmentationGroupState: { value: { selectedSegments: Ids; visibleSegments: Ids } };
    objectAlpha: { value: number };
    selectedAlpha: { value: number };
  };
}

/** A segmentation that can be edited. */
export class Editable {
  constructor(
    readonly graph: Graph,
    readonly managed: ManagedUserLayer,
    private readonly connection: Connection,
  ) {}

  get display(): Drawn["displayState"] {
    return (this.managed.layer as unknown as Drawn).displayState;
  }

  private get ids() {
    return this.display.segmentationGroupState.value;
  }

  /** The roots that are selected, the latest last. */
  get selected(): bigint[] {
    return [...this.ids.selectedSegments].filter((id) => this.graph.isRoot(id));
  }

  get multicut(): Multicut {
    return this.connection.state.multicutState;
  }

  /** Call something when the selection changes; returns what ends that. */
  onSelection(told: () => void): () => void {
    return this.ids.selectedSegments.changed.add(told);
  }

  /** Select segments. */
  select(roots: bigint[]): void {
    this.connection.meshAddNewSegments(roots);
    this.ids.selectedSegments.add(roots);
    this.ids.visibleSegments.add(roots);
  }

  /** Put the successors of a root in its place. */
  replace(root: bigint, successors: bigint[]): void {
    if (!this.ids.selectedSegments.has(root)) return;
    const isVisible = this.ids.visibleSegments.has(root);
    if (this.multicut.focusSegment.value === root) this.move(root, successors);
    this.ids.selectedSegments.delete(root);
    this.connection.meshAddNewSegments(successors);
    this.ids.selectedSegments.add(successors);
    if (isVisible) this.ids.visibleSegments.add(successors);
  }

  /** Keep the points of a multicut if they still are in one segment. */
  private move(root: bigint, successors: bigint[]): void {
    const [only] = successors;
    if (only === undefined || successors.length > 1) return this.multicut.reset();
    for (const point of [...this.multicut.sinks, ...this.multicut.sources]) {
      if (point.segmentId === root) point.segmentId = only;
      point.rootId = only;
    }
    this.multicut.focusSegment.value = only;
  }

  /** Send the name of the author with each edit that Neuroglancer asks for. */
  sign(author: () => string): void {
    const server = this.connection.graph.graphServer;
    const { fetchOkImpl, baseUrl } = server.httpSource;
    const signed: Fetch = (address, ...rest) => {
      const isEdit = /\/(merge|split)\?/.test(address);
      return fetchOkImpl(isEdit ? `${address}&user=${encodeURIComponent(author())}` : address, ...rest);
    };
    server.httpSource = { fetchOkImpl: signed, baseUrl };
  }
}

const opened = new Map<Connection, Promise<Editable>>();

/** Return the segmentations that can be edited, each the same object as before. */
export async function editables(viewer: Viewer, author: () => string): Promise<Editable[]> {
  const found = viewer.layerManager.managedLayers.flatMap((managed) => {
    const layer = managed.layer as unknown as Drawn | null;
    const connection = layer?.graphConnection?.value;
    const tables = layer?.dataSources?.flatMap(({ spec }) => tableOf(spec.url) ?? []) ?? [];
    // A past state cannot be edited.
    const table = tables.find((name) => !/\.(op|t)\d+$/.test(name));
    return connection && table !== undefined ? [{ managed, connection, table }] : [];
  });
  return Promise.all(
    found.map(({ managed, connection, table }) => {
      let one = opened.get(connection);
      if (!one) {
        one = Graph.open(table).then((graph) => {
          const editable = new Editable(graph, managed, connection);
          editable.sign(author);
          return editable;
        });
        opened.set(connection, one);
        one.catch(() => opened.delete(connection));
      }
      return one;
    }),
  );
}

/** Add a layer, in place of one of the same name. */
export function addLayer(viewer: Viewer, name: string, state: object): void {
  removeLayer(viewer, name);
  viewer.layerSpecification.add(makeLayer(viewer.layerSpecification, name, state));
}

export function removeLayer(viewer: Viewer, name: string): void {
  const there = viewer.layerManager.getLayerByName(name);
  if (there) viewer.layerManager.removeManagedLayer(there);
}

/** Centre a place, in voxels of a segmentation. */
export function jump(viewer: Viewer, graph: Graph, place: readonly number[]): void {
  const { names, scales, units } = viewer.coordinateSpace.value;
  const position = Float32Array.from(viewer.position.value);
  ["x", "y", "z"].forEach((axis, i) => {
    const at = names.indexOf(axis);
    const metres = ((place[i] ?? 0) + 0.5) * (graph.resolution[i] ?? 1) * 1e-9;
    if (at >= 0) position[at] = units[at] === "m" ? metres / (scales[at] ?? 1) : (place[i] ?? 0) + 0.5;
  });
  viewer.position.value = position;
}
