/** The fragments of a mesh, as the server makes them: the legacy format of Neuroglancer. */

import { type ChannelName, ask, url } from "../shared/server";

export interface Fragment {
  /** x, y, z in nanometres. */
  vertices: Float32Array;
  /** Three vertices each. */
  triangles: Uint32Array;
}

const LEGACY = "neuroglancer_legacy_mesh";

/** So many fragments are asked for at once. */
const AT_ONCE = 4;

/** Return the address of the folder of meshes; undefined if there are none that the page can draw. */
export async function meshesOf(name: ChannelName): Promise<string | undefined> {
  const { mesh } = (await (await ask(url("pre", name, "info"))).json()) as { mesh?: string };
  if (mesh === undefined) return undefined;
  const folder = url("pre", name, mesh);
  const info = await (await ask(`${folder}/info`)).json();
  return info["@type"] === LEGACY ? folder : undefined;
}

/** Ask for the names of the fragments of a segment. */
export async function fragmentsOf(folder: string, id: string): Promise<string[]> {
  return (await (await ask(`${folder}/${id}:0`)).json()).fragments;
}

/** Read fragments, each as soon as it is there. */
export async function read(folder: string, names: string[], take: (fragment: Fragment) => void): Promise<void> {
  const left = [...names];
  const reader = async () => {
    for (let name = left.shift(); name !== undefined; name = left.shift()) {
      take(parsed(await (await ask(`${folder}/${name}`)).arrayBuffer()));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, reader));
}

/** Read a fragment: the number of vertices, their places, and the triangles, little-endian. */
function parsed(bytes: ArrayBuffer): Fragment {
  const count = new DataView(bytes).getUint32(0, true);
  const end = 4 + 12 * count;
  return { vertices: new Float32Array(bytes.slice(4, end)), triangles: new Uint32Array(bytes.slice(end)) };
}

/**
 * Join fragments to one mesh.
 *
 * Fragments have the same vertices along their common border; only as one vertex each has it a normal
 * without an edge.
 */
export function joined(fragments: Fragment[]): Fragment {
  const total = fragments.reduce((sum, { vertices }) => sum + vertices.length / 3, 0);
  const mask = 2 ** Math.ceil(Math.log2(2 * total + 2)) - 1;
  const slots = new Int32Array(mask + 1).fill(-1);
  const vertices = new Float32Array(3 * total);
  const bits = new Int32Array(vertices.buffer);
  let count = 0;
  const placeOf = (a: number, b: number, c: number): number => {
    let hash = Math.imul(a, 73856093) ^ Math.imul(b, 19349663) ^ Math.imul(c, 83492791);
    hash ^= hash >>> 15;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const known = slots[slot] as number;
      if (known < 0) {
        bits.set([a, b, c], 3 * count);
        slots[slot] = count;
        return count++;
      }
      if (bits[3 * known] === a && bits[3 * known + 1] === b && bits[3 * known + 2] === c) return known;
    }
  };
  const triangles = fragments.map((fragment) => {
    const own = new Int32Array(fragment.vertices.buffer);
    const places = new Uint32Array(own.length / 3);
    for (let n = 0; n < places.length; n++) {
      places[n] = placeOf(own[3 * n] as number, own[3 * n + 1] as number, own[3 * n + 2] as number);
    }
    return fragment.triangles.map((vertex) => places[vertex] as number);
  });
  const all = new Uint32Array(triangles.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const some of triangles) {
    all.set(some, at);
    at += some.length;
  }
  return { vertices: vertices.slice(0, 3 * count), triangles: all };
}
