/** The partners of a neuron on one side, the strongest first. */

import { el } from "../shared/dom";
import { count, many } from "../shared/words";
import type { Partner } from "./rows";

/** So many partners are listed at first. */
const LISTED = 25;

export function partners(
  title: string,
  side: "in" | "out",
  all: Partner[],
  address: (neuron: string) => string,
): HTMLElement {
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
