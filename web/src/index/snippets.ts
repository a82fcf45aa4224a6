/** What to type elsewhere to read a channel: each runs as it is copied. */

import { type Channel, type ChannelName, names, quote, url } from "../shared/server";

export interface Snippet {
  title: string;
  code: string;
  /** What has to be there first. */
  note: string;
}

/** Write text as a literal of Python; JSON's strings are such literals. */
const literal = (text: string): string => JSON.stringify(text);

/** Write text as one word of a POSIX shell. */
const word = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

export function snippets(name: ChannelName, channel: Channel): Snippet[] {
  const start = channel.voxel_offset;
  const stop = channel.size.map((n, i) => (start[i] ?? 0) + Math.min(n, [64, 64, 8][i] ?? 1));
  const extent = stop.map((end, i) => end - (start[i] ?? 0));
  const [x, y, z] = start.map((first, i) => `${first}:${stop[i]}`);
  const [i, j, k] = extent.map((n) => `:${n}`);
  const [width, height] = extent;
  const precomputed = url("pre", name);
  const zarr = url("zarr3", name);
  const [experiment = "", sample = "", dataset = ""] = name.token.split("/");
  const base = new URL(url(""));

  const picture = names(name);
  const box = { x: start[0], y: start[1], z: start[2], width, height, depth: 1, format: "png" };
  for (const [key, value] of Object.entries(box)) picture.set(key, String(value));

  return [
    {
      title: "CloudVolume",
      note: "pip install cloud-volume",
      code: `from cloudvolume import CloudVolume

volume = CloudVolume(${literal(`precomputed://${precomputed}`)}, mip=0)
voxels = volume[${x}, ${y}, ${z}]  # x, y, z, channel
print(voxels.shape, voxels.dtype)
`,
    },
    {
      title: "TensorStore",
      note: "pip install tensorstore",
      code: `import tensorstore as ts

volume = ts.open(
    {"driver": "neuroglancer_precomputed", "kvstore": ${literal(`${precomputed}/`)}, "scale_index": 0}
).result()
voxels = volume[${x}, ${y}, ${z}, 0].read().result()  # x, y, z
print(voxels.shape, voxels.dtype)
`,
    },
    {
      title: "zarr-python",
      note: 'pip install "zarr>=3" aiohttp',
      code: `import zarr

group = zarr.open_group(${literal(zarr)}, mode="r")
voxels = group["0"][${k}, ${j}, ${i}]  # z, y, x
print(voxels.shape, voxels.dtype)
`,
    },
    {
      title: "dask",
      note: 'pip install "dask[array]" "zarr>=3" aiohttp',
      code: `import dask.array as da

volume = da.from_zarr(${literal(`${zarr}/0`)})  # z, y, x
voxels = volume[${k}, ${j}, ${i}].compute()
print(voxels.shape, voxels.dtype)
`,
    },
    {
      title: "intern",
      note: "pip install intern",
      code: `from intern.remote.boss import BossRemote

remote = BossRemote(
    {"protocol": ${literal(base.protocol.slice(0, -1))}, "host": ${literal(base.host + base.pathname.replace(/\/$/, ""))}, "token": "public"}
)
channel = remote.get_channel(${literal(name.name)}, ${literal(experiment)}, ${literal(`${sample}::${dataset}`)})
voxels = remote.get_cutout(channel, 0, ${start.map((first, n) => `[${first}, ${stop[n]}]`).join(", ")})  # z, y, x
print(voxels.shape, voxels.dtype)
`,
    },
    {
      title: "OpenSeadragon",
      note: "npm install openseadragon; the page needs an element with the id \"viewer\"",
      code: `OpenSeadragon({
  id: "viewer",
  prefixUrl: "",
  showNavigationControl: false,
  crossOriginPolicy: "Anonymous",
  tileSources: ${literal(`${url("tiles", name)}/${(start[2] ?? 0) + Math.floor(channel.size[2] / 2)}.dzi`)},
});
`,
    },
    {
      title: "curl",
      note: "A picture of one section; format=npy gives the voxels for numpy.load.",
      code: `curl -fo section.png ${word(`${url("api/data")}?${picture}`)}
`,
    },
    {
      title: "Addresses",
      note: "What programs take as a source.",
      code: [
        `precomputed://${precomputed}`,
        `zarr://${url("zarr", name)}`,
        `zarr3://${url("zarr3", name)}`,
        `n5://${url("n5", name)}`,
        `${url("v1/cutout")}/${quote(experiment)}/${quote(`${sample}::${dataset}`)}/${quote(name.name)}/0/${x}/${y}/${z}/`,
        "",
      ].join("\n"),
    },
  ];
}
