/** What the server is asked, and the addresses at which it answers. */

export interface Dataset {
  experiment: string;
  sample: string;
  dataset: string;
  channels: { name: string; description: string }[];
}

/** A channel as it is named in addresses: `token` is `experiment/sample/dataset`. */
export interface ChannelName {
  token: string;
  name: string;
}

export type Xyz = [number, number, number];

export type Kind = "image" | "segmentation";

export const KINDS: readonly Kind[] = ["image", "segmentation"];

export interface Channel {
  name: string;
  format: string;
  kind: Kind;
  /** What decided the kind, and why it may be wrong; nothing if it is certain. */
  kind_source: string;
  kind_doubt: string;
  /** As served, and as the file has it. */
  dtype: string;
  stored_dtype: string;
  size: Xyz;
  voxel_offset: Xyz;
  /** Nanometres; null where neither the file nor the configuration says. */
  voxel_size: Xyz | null;
  mips: Xyz[];
  /** Folders of annotations that are stored with the channel. */
  annotations: string[];
  /** What there is of its segments; null of an image. */
  segments: SegmentFacts | null;
  /** Its name for graphene clients; null if it cannot be edited by them. */
  table: string | null;
}

export interface SegmentFacts {
  can_be_listed: boolean;
  /** How much of the label index is built, in percent; null before it is needed. */
  index: number | null;
  meshes: "stored" | "computed" | null;
  skeletons: "stored" | "computed" | null;
}

export interface Counts {
  neurons: number;
  synapses: number;
}

/** The folder that the server's addresses begin at, wherever a proxy puts it. */
export const root = new URL(document.documentElement.dataset.root ?? ".", location.href);

/** Quote names in a path; the slashes between them, and colons, stay readable. */
export const quote = (names: string): string =>
  encodeURIComponent(names).replaceAll("%2F", "/").replaceAll("%3A", ":");

export const tokenOf = ({ experiment, sample, dataset }: Omit<Dataset, "channels">): string =>
  `${experiment}/${sample}/${dataset}`;

/** Return the token of a dataset in an address, which may have the former `::` between names. */
export const tokenIn = (text: string): string => text.replaceAll("::", "/");

export const keyOf = ({ token, name }: ChannelName): string => `${token}/${name}`;

export function parseKey(key: string): ChannelName {
  const names = tokenIn(key).split("/");
  const name = names.pop();
  if (names.length !== 3 || name === undefined) throw new Error(`${key} is not experiment/sample/dataset/channel.`);
  return { token: names.join("/"), name };
}

/** Return an address below the server, such as `url("pre", channel, "info")`. */
export function url(prefix: string, channel?: ChannelName, ...rest: (string | number)[]): string {
  const parts = channel ? [quote(channel.token), quote(channel.name)] : [];
  return new URL([prefix, ...parts, ...rest].join("/"), root).href;
}

/** Return the parameters of `/api` that name a channel, or a dataset. */
export function names({ token, name }: { token: string; name?: string }): URLSearchParams {
  const [experiment = "", sample = "", dataset = ""] = token.split("/");
  const words = new URLSearchParams({ experiment, sample, dataset });
  if (name !== undefined) words.set("channel", name);
  return words;
}

/** What the server refuses, in its own words. */
export class Refused extends Error {
  constructor(
    message: string,
    readonly status: number,
  ) {
    super(message);
  }
}

/** Ask for something; an error has the server's own words. */
export async function ask(address: string, request?: RequestInit): Promise<Response> {
  const answer = await fetch(address, request);
  if (!answer.ok) throw new Refused((await answer.text()).trim() || answer.statusText, answer.status);
  return answer;
}

const json = async <T>(address: string): Promise<T> => (await ask(address)).json();

/** Return whether the server can write to its configuration. */
export const mayWrite = async (): Promise<boolean> => (await json<{ may_write: boolean }>(url("browse"))).may_write;

/** Write the voxel size of a channel, in nanometres, to the server's configuration. */
export async function writeVoxelSize(name: ChannelName, size: Xyz): Promise<void> {
  const answer = await fetch(url("browse", name, "voxel_size"), { method: "POST", body: JSON.stringify(size) });
  if (!answer.ok) throw new Error((await answer.text()).trim() || answer.statusText);
  // The browser may have kept what depends on it.
  const kept = [url("browse", name), url("pre", name, "info")];
  await Promise.all(kept.map((address) => fetch(address, { cache: "reload" })));
}

export const listed = async (): Promise<Dataset[]> =>
  (await json<{ datasets: Dataset[] }>(url("browse"))).datasets;

export const channelOf = (name: ChannelName): Promise<Channel> => json(url("browse", name));

export const countsOf = (token: string): Promise<Counts> => json(url(`browse/${quote(token)}`));

/** Ask for the relationships, to segments, of annotations that are stored with a channel. */
export const relationshipsOf = async (name: ChannelName, folder: string): Promise<string[]> => {
  const { relationships } = await json<{ relationships?: { id: string }[] }>(url("pre", name, folder, "info"));
  return (relationships ?? []).map(({ id }) => id);
};

export const contrastOf = async (name: ChannelName): Promise<[number, number]> =>
  (await json<{ range: [number, number] }>(url("browse", name, "contrast"))).range;
