/** The field of a channel's voxel size, which is written to the configuration, or shown as a line for it. */

import { copyButton, el } from "../shared/dom";
import { type Channel, type ChannelName, type Xyz, mayWrite, writeVoxelSize } from "../shared/server";

const AXES = ["x", "y", "z"];

/** Where the line goes if the server cannot write it. */
const PASTE = "The server cannot write to its configuration. Paste this line at the channel there, and start it again:";

/**
 * Return the field. A channel without a size has it open.
 *
 * @param saved is called once the size is written, and in use.
 */
export function sizeField(name: ChannelName, { voxel_size }: Channel, saved: () => void): HTMLElement {
  const inputs = AXES.map((axis, i) =>
    el("input", {
      type: "number",
      min: "0",
      step: "any",
      required: true,
      value: String(voxel_size?.[i] ?? ""),
      "aria-label": `Voxel size along ${axis}, nm`,
    }),
  );
  const note = el("p", { className: "note", role: "status" });
  const line = el("code");
  const paste = el("div", { className: "paste", hidden: true }, line, copyButton("Copy", () => line.textContent ?? ""));
  const save = el("button", { type: "submit", disabled: true }, "Save");
  const fields = AXES.map((axis, i) => el("label", {}, axis, inputs[i]));
  const form = el("form", {}, ...fields, el("span", {}, "nm"), save);
  const size = () => inputs.map((input) => Number(input.value)) as Xyz;
  const write = () => {
    line.textContent = `voxel_size: [${size().reverse().join(", ")}]  # z, y, x in nanometres`;
    paste.hidden = !save.hidden || size().some((side) => !(side > 0));
  };
  form.addEventListener("input", write);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (save.hidden) return;
    save.disabled = true;
    try {
      await writeVoxelSize(name, size());
      saved();
    } catch (error) {
      note.textContent = (error as Error).message;
      save.disabled = false;
    }
  });
  void mayWrite().then((may) => {
    save.disabled = false;
    save.hidden = !may;
    if (!may) note.textContent = PASTE;
    write();
  });
  return el("details", { className: "size", open: !voxel_size }, el("summary", {}, "Set the voxel size"), form, note, paste);
}
