/** A neuron: its partners, its synapses, and the way into Neuroglancer. Without an id: all neurons. */

import { byId, el } from "../shared/dom";
import { ask, channelOf, countsOf, names, quote, root, tokenIn, url } from "../shared/server";
import { channelsOf, neuroglancer } from "../shared/state";
import { count, many } from "../shared/words";
import { plot } from "./plot";
import { type Neuron, type Partner, type Synapse, rows } from "./rows";

const SYNAPSES = 20_000;
const PARTNERS = 100_000;
const NEURONS = 500;

/** So many partners are selected in Neuroglancer, the strongest first. */
const SELECTED = 20;

/** So many partners are listed at first. */
const LISTED = 25;

const asked = new URLSearchParams(location.search);
const id = asked.get("id");

/** The dataset, named as one token or by three names as in `/api`. */
const token = asked.has("experiment")
  ? ["experiment", "sample", "dataset"].map((name) => asked.get(name) ?? "").join("/")
  : tokenIn(asked.get("dataset") ?? "");

const address = (neuron: string): string => new URL(`neuron?dataset=${quote(token)}&id=${neuron}`, root).href;

/** The true proportions of voxels, from the first channel that knows them. */
async function proportions(): Promise<[number, number, number]> {
  for (const name of (await channelsOf(token)).slice(0, 4)) {
    const size = await channelOf(name).then(({ voxel_size }) => voxel_size, () => null);
    if (size) return size;
  }
  return [1, 1, 1];
}

function partners(title: string, side: "in" | "out", all: Partner[]): HTMLElement {
  const some = all.filter((partner) => partner.side === side);
  const total = some.reduce((sum, { synapses }) => sum + synapses, 0);
  const most = some[0]?.synapses ?? 1;
  const body = el("tbody");
  const add = (from: number, to: number) =>
    body.append(
      ...some.slice(from, to).map(({ partner, synapses }) =>
        el(
          "tr",
          {},
          el("td", {}, el("a", { href: address(partner) }, partner)),
          el("td", {}, el("meter", { max: most, value: synapses, "aria-hidden": "true" }), el("span", {}, count(synapses))),
        ),
      ),
    );
  add(0, LISTED);
  const panel = el(
    "section",
    { className: `panel ${side}` },
    el("h2", {}, title),
    el("p", { className: "faint" }, `${many(some.length, "partner")}, ${many(total, "synapse")}`),
  );
  if (some.length) {
    panel.append(el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Neuron"), el("th", { scope: "col" }, "Synapses"))), body));
  }
  if (some.length > LISTED) {
    const all = el("button", { type: "button", className: "quiet" }, `All ${count(some.length)}`);
    all.addEventListener("click", () => {
      add(LISTED, some.length);
      all.remove();
    });
    panel.append(all);
  }
  return panel;
}

function head(title: string, below: string, ...actions: HTMLElement[]): HTMLElement {
  return el(
    "div",
    { className: "head" },
    el("div", {}, el("p", { className: "faint" }, token.split("/").join(" / ")), el("h1", {}, title), el("p", { className: "faint" }, below)),
    el("div", { className: "actions" }, ...actions),
  );
}

async function showNeuron(id: string, main: HTMLElement): Promise<void> {
  document.title = `Neuron ${id} · Butterfly`;
  const [all, synapses, scale, neuron] = await Promise.all([
    rows<Partner>("partners", token, { id }, PARTNERS),
    rows<Synapse>("synapses", token, { neuron: id }, SYNAPSES),
    proportions(),
    soma(id),
  ]);
  const strongest = [...all].sort((a, b) => b.synapses - a.synapses).map(({ partner }) => partner);
  const selected = [id, ...new Set(strongest.filter((partner) => partner !== id))].slice(0, SELECTED + 1);
  const [x, y, z] = scale;
  const scales = { x, y, z };
  const place = [neuron.x, neuron.y, neuron.z].map((n) => n + 0.5);
  main.append(
    head(
      `Neuron ${id}`,
      `at x, y, z: ${neuron.x}, ${neuron.y}, ${neuron.z}`,
      el("a", { className: "button primary", href: neuroglancer({ dataset: token }, [id], place) }, "Open in Neuroglancer"),
      el("a", { className: "button", href: neuroglancer({ dataset: token }, selected, place) }, "With its partners"),
    ),
    el(
      "div",
      { className: "board" },
      el(
        "section",
        { className: "panel plain" },
        el("h2", {}, "Synapses"),
        el("p", { className: "faint" }, synapses.length < SYNAPSES ? many(synapses.length, "synapse") : `the first ${count(SYNAPSES)}`),
        plot(synapses, neuron, id, "x", "y", scales),
        plot(synapses, neuron, id, "x", "z", scales),
      ),
      partners("Outputs", "out", all),
      partners("Inputs", "in", all),
    ),
  );
}

/** The neuron's own row, which tells where it is. */
async function soma(id: string): Promise<Neuron> {
  const words = names({ token });
  words.set("feature", "neuron_keypoint");
  words.set("id", id);
  const answer = await ask(`${url("api/entity_feature")}?${words}`);
  const place = await answer.json();
  if (!("x" in place)) throw new Error(`There is no neuron ${id}.`);
  return { neuron: id, ...place };
}

async function showAll(main: HTMLElement): Promise<void> {
  const { neurons, synapses } = await countsOf(token);
  main.append(
    head(
      token.split("/").at(-1) ?? "",
      `${many(neurons, "neuron")} · ${many(synapses, "synapse")}`,
      el("a", { className: "button primary", href: neuroglancer({ dataset: token }) }, "Open in Neuroglancer"),
    ),
  );
  if (!neurons) return;
  const some = await rows<Neuron>("neurons", token, {}, NEURONS);
  const links = some.map(({ neuron }) => el("li", {}, el("a", { href: address(neuron) }, neuron)));
  main.append(
    el(
      "section",
      { className: "panel plain" },
      el("h2", {}, neurons > some.length ? `The first ${count(some.length)}` : "All neurons"),
      el("ul", { className: "neurons" }, ...links),
    ),
  );
}

const main = byId("main");
byId("find").addEventListener("submit", (event) => {
  event.preventDefault();
  location.href = address(byId<HTMLInputElement>("id").value);
});
(id === null ? showAll(main) : showNeuron(id, main)).catch((error: Error) =>
  main.append(el("p", { className: "notice wrong", role: "alert" }, error.message)),
);
