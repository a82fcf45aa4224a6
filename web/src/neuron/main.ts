/** A segment: its picture, its size, its synapses, and the way into Neuroglancer. Without an id: all. */

import { neuroglancer } from "../shared/addresses";
import { byId, el } from "../shared/dom";
import { segmentList } from "../shared/list";
import { type ChannelName, Refused, ask, channelOf, countsOf, names, parseKey, quote, root, tokenIn, url } from "../shared/server";
import { neuronPage } from "../shared/segments";
import { channelsOf } from "../shared/state";
import { count, many } from "../shared/words";
import { type Labels, facts } from "./facts";
import { partners } from "./partners";
import { picture } from "./picture";
import { plot } from "./plot";
import { type Neuron, type Partner, type Synapse, rows } from "./rows";

const SYNAPSES = 20_000;
const PARTNERS = 100_000;
const NEURONS = 500;

/** So many partners are selected in Neuroglancer, the strongest first. */
const SELECTED = 20;

const asked = new URLSearchParams(location.search);
const id = asked.get("id");

/** The dataset, named as one token or by three names as in `/api`. */
const token = asked.has("experiment")
  ? ["experiment", "sample", "dataset"].map((name) => asked.get(name) ?? "").join("/")
  : tokenIn(asked.get("dataset") ?? "");

/** What the dataset has. */
interface Dataset {
  /** The segmentation whose segments are shown: the one that the address names, or the first. */
  labels?: Labels;
  image?: ChannelName;
  /** The true proportions of voxels, from the first channel that knows them. */
  scale: [number, number, number];
}

async function look(): Promise<Dataset> {
  const found = await channelsOf(token);
  const wanted = asked.get("channel");
  const chosen = wanted === null ? undefined : parseKey(`${token}/${wanted}`);
  if (chosen && !found.some(({ name }) => name === chosen.name)) found.unshift(chosen);
  const tried = await Promise.allSettled(found.map(async (name) => ({ name, channel: await channelOf(name) })));
  const all = tried.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  const segmented = all.filter(({ channel }) => channel.segments);
  return {
    labels: segmented.find(({ name }) => name.name === chosen?.name) ?? segmented[0],
    image: all.find(({ channel }) => channel.kind === "image")?.name,
    scale: all.find(({ channel }) => channel.voxel_size)?.channel.voxel_size ?? [1, 1, 1],
  };
}

function address(labels: Labels | undefined): (neuron: string) => string {
  if (labels) return (neuron) => neuronPage(labels.name, neuron);
  return (neuron) => new URL(`neuron?dataset=${quote(token)}&id=${neuron}`, root).href;
}

function head(title: string, below: string, ...actions: HTMLElement[]): HTMLElement {
  return el(
    "div",
    { className: "head" },
    el("div", {}, el("p", { className: "faint" }, token.split("/").join(" / ")), el("h1", {}, title), el("p", { className: "faint" }, below)),
    el("div", { className: "actions" }, ...actions),
  );
}

const alert = ({ message }: Error): HTMLElement => el("p", { className: "notice wrong", role: "alert" }, message);

async function showNeuron(id: string, main: HTMLElement): Promise<void> {
  document.title = `Neuron ${id} · Butterfly`;
  const dataset = await look();
  const { neurons, synapses } = await countsOf(token);
  const { labels, image } = dataset;
  const neuron = neurons || synapses ? await soma(id) : undefined;
  const isMissing = new Error(`There is no neuron ${id}.`);
  if (!neuron && !labels) throw isMissing;
  const opened = (segments: string[], place: number[]) =>
    neuroglancer({ dataset: token }, segments, place, labels?.name);
  const place = neuron ? [neuron.x, neuron.y, neuron.z].map((n) => n + 0.5) : [];
  const actions = el("a", { className: "button primary", href: opened([id], place) }, "Open in Neuroglancer");
  const title = head(
    neuron ? `Neuron ${id}` : `Segment ${id}`,
    neuron ? `at x, y, z: ${neuron.x}, ${neuron.y}, ${neuron.z}` : (labels?.name.name ?? ""),
    actions,
  );
  const board = el("div", { className: "board" });
  main.append(title, board);
  if (labels) {
    const { meshes } = labels.channel.segments ?? {};
    if (meshes) board.append(picture(labels.name, id));
    if (labels.channel.segments?.can_be_listed) board.append(facts(labels, image, id, () => neuron ?? main.replaceChildren(alert(isMissing))));
  }
  if (!neuron || !synapses) return;
  const all = await connected(id, neuron, dataset, board);
  const strongest = [...all].sort((a, b) => b.synapses - a.synapses).map(({ partner }) => partner);
  const selected = [id, ...new Set(strongest.filter((partner) => partner !== id))].slice(0, SELECTED + 1);
  actions.after(el("a", { className: "button", href: opened(selected, place) }, "With its partners"));
}

/** Show the synapses of a neuron and its partners, and return these. */
async function connected(id: string, neuron: Neuron, { labels, scale }: Dataset, board: HTMLElement): Promise<Partner[]> {
  const [all, synapses] = await Promise.all([
    rows<Partner>("partners", token, { id }, PARTNERS),
    rows<Synapse>("synapses", token, { neuron: id }, SYNAPSES),
  ]).catch((error) => {
    // A neuron that has a soma and no synapse.
    if (error instanceof Refused && error.status === 404) return [[], []] as [Partner[], Synapse[]];
    throw error;
  });
  const [x, y, z] = scale;
  const scales = { x, y, z };
  board.append(
    el(
      "section",
      { className: "panel plain" },
      el("h2", {}, "Synapses"),
      el("p", { className: "faint" }, synapses.length < SYNAPSES ? many(synapses.length, "synapse") : `the first ${count(SYNAPSES)}`),
      plot(synapses, neuron, id, "x", "y", scales),
      plot(synapses, neuron, id, "x", "z", scales),
    ),
    partners("Outputs", "out", all, address(labels)),
    partners("Inputs", "in", all, address(labels)),
  );
  return all;
}

/** The neuron's own row, which tells where it is; undefined if there is none. */
async function soma(id: string): Promise<Neuron | undefined> {
  const words = names({ token });
  words.set("feature", "neuron_keypoint");
  words.set("id", id);
  const place = await (await ask(`${url("api/entity_feature")}?${words}`)).json();
  return "x" in place ? { neuron: id, ...place } : undefined;
}

async function showAll(main: HTMLElement): Promise<void> {
  const { labels } = await look();
  const { neurons, synapses } = await countsOf(token);
  const below = neurons || synapses ? `${many(neurons, "neuron")} · ${many(synapses, "synapse")}` : (labels?.name.name ?? "");
  main.append(
    head(
      token.split("/").at(-1) ?? "",
      below,
      el("a", { className: "button primary", href: neuroglancer({ dataset: token }) }, "Open in Neuroglancer"),
    ),
  );
  const board = el("div", { className: "board lists" });
  main.append(board);
  if (labels?.channel.segments?.can_be_listed) {
    const title = el("h2", {}, "Segments of ", labels.name.name);
    board.append(el("section", { className: "panel plain" }, title, segmentList(labels.name)));
  }
  if (!neurons) return;
  const some = await rows<Neuron>("neurons", token, {}, NEURONS);
  const links = some.map(({ neuron }) => el("li", {}, el("a", { href: address(labels)(neuron) }, neuron)));
  board.append(
    el(
      "section",
      { className: "panel plain" },
      el("h2", {}, neurons > some.length ? `The first ${count(some.length)} neurons` : "All neurons"),
      el("ul", { className: "neurons" }, ...links),
    ),
  );
}

const main = byId("main");
byId("find").addEventListener("submit", (event) => {
  event.preventDefault();
  const page = new URL(location.href);
  page.searchParams.set("id", byId<HTMLInputElement>("id").value);
  location.href = page.href;
});
(id === null ? showAll(main) : showNeuron(id, main)).catch((error: Error) => main.append(alert(error)));
