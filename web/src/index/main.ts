/** The index: every channel as a card, filled in when it comes into view. */

import { neuroglancer } from "../shared/addresses";
import { byId, copyButton, el } from "../shared/dom";
import { type ChannelName, type Dataset, countsOf, keyOf, listed, quote, root, tokenOf } from "../shared/server";
import { count, many } from "../shared/words";
import { Card } from "./card";
import { Sheet } from "./sheet";

// Neuroglancer's "Share" leads to the page that its server begins with.
if (location.hash.startsWith("#!")) location.replace(new URL(`ng/${location.hash}`, root));

const chosen = new Map<string, ChannelName>();
const cardOf = new Map<string, Card>();
const sheet = new Sheet(byId<HTMLDialogElement>("channel"), (channel) => void cardOf.get(keyOf(channel))?.fill());

class Section {
  readonly element: HTMLElement;
  readonly cards: Card[];
  private readonly token: string;
  private readonly words: string;
  private readonly counts = el("p", { className: "counts" });
  private readonly actions = el("div", { className: "actions" });

  constructor(dataset: Dataset) {
    this.token = tokenOf(dataset);
    const { experiment, sample, dataset: name } = dataset;
    this.words = `${experiment} ${sample} ${name}`.toLowerCase();
    this.cards = dataset.channels.map((channel) => new Card(this.token, channel, choose, (one) => sheet.show(one)));
    for (const card of this.cards) cardOf.set(keyOf(card.channel), card);
    this.actions.append(
      el("a", { className: "button primary", href: neuroglancer({ dataset: this.token }) }, "Open in Neuroglancer"),
    );
    this.element = el(
      "section",
      { className: "dataset", "aria-label": `Dataset ${name}` },
      el(
        "header",
        {},
        el(
          "div",
          { className: "title" },
          el("p", { className: "where" }, `${experiment} / ${sample}`),
          el("h2", {}, name),
          this.counts,
        ),
        this.actions,
      ),
      el("ul", { className: "cards" }, ...this.cards.map((card) => card.element)),
    );
  }

  /** Show what fits the words, and give how many channels that are. */
  filter(words: string[]): number {
    let shown = 0;
    for (const card of this.cards) {
      const fits = words.every((word) => card.words.includes(word) || this.words.includes(word));
      card.element.hidden = !fits;
      shown += Number(fits);
    }
    this.element.hidden = words.length ? !shown : false;
    return shown;
  }

  /** Show the counts of neurons and synapses, once the dataset is in view. */
  async fill(): Promise<void> {
    const { neurons, synapses } = await countsOf(this.token);
    if (!neurons && !synapses) return;
    this.counts.textContent = `${many(neurons, "neuron")} · ${many(synapses, "synapse")}`;
    const address = `neuron?dataset=${quote(this.token)}`;
    this.actions.append(el("a", { className: "button", href: new URL(address, root).href }, "Neurons"));
  }
}

function choose(channel: ChannelName, picked: boolean): void {
  if (picked) chosen.set(keyOf(channel), channel);
  else chosen.delete(keyOf(channel));
  byId("chosen").hidden = chosen.size === 0;
  byId("chosen-count").textContent = `${many(chosen.size, "channel")} chosen`;
  byId<HTMLAnchorElement>("chosen-open").href = neuroglancer([...chosen.values()]);
}

async function start(): Promise<void> {
  const main = byId("datasets");
  const search = byId<HTMLInputElement>("search");
  let sections: Section[];
  try {
    sections = (await listed()).map((dataset) => new Section(dataset));
  } catch (error) {
    main.append(el("p", { className: "notice wrong" }, (error as Error).message));
    return;
  }
  const empty = el("p", { className: "empty", hidden: true }, "No channel has these words.");
  main.append(...sections.map(({ element }) => element), empty);

  const fillers = new Map<Element, () => Promise<void>>();
  const seen = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        seen.unobserve(target);
        void fillers.get(target)?.();
      }
    },
    { rootMargin: "200px" },
  );
  const watch = (element: Element, fill: () => Promise<void>) => {
    fillers.set(element, fill);
    seen.observe(element);
  };
  for (const section of sections) {
    watch(section.element, () => section.fill());
    for (const card of section.cards) watch(card.element, () => card.fill());
  }

  const total = sections.reduce((sum, { cards }) => sum + cards.length, 0);
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const shown = sections.reduce((sum, section) => sum + section.filter(words), 0);
    empty.hidden = shown > 0 || !words.length;
    byId("found").textContent = words.length ? `${count(shown)} of ${many(total, "channel")}` : many(total, "channel");
    const page = new URL(location.href);
    if (words.length) page.searchParams.set("q", search.value);
    else page.searchParams.delete("q");
    history.replaceState(history.state, "", page);
  };
  search.value = new URLSearchParams(location.search).get("q") ?? "";
  search.addEventListener("input", filter);
  filter();
  if (!total) main.prepend(el("p", { className: "empty" }, "No channel is served yet."));

  document.addEventListener("keydown", (event) => {
    const typing = event.target instanceof HTMLElement && event.target.matches("input, textarea, select");
    if (event.key === "/" && !typing) {
      event.preventDefault();
      search.focus();
    } else if (event.key === "Escape" && event.target === search) {
      search.value = "";
      filter();
    }
  });
  byId("chosen-link").append(copyButton("Copy link", () => neuroglancer([...chosen.values()])));
  byId("chosen-clear").addEventListener("click", () => {
    for (const { cards } of sections) for (const card of cards) card.pick(false);
    search.focus();
  });
  sheet.followAddress();
}

void start();
