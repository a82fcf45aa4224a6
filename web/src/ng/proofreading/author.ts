/** The name under which this browser edits. */

const KEY = "bfly-author";

/** Return the name; one is made up until a person writes theirs. */
export function name(): string {
  const kept = localStorage.getItem(KEY);
  if (kept) return kept;
  const made = `guest ${1000 + Math.floor(Math.random() * 9000)}`;
  localStorage.setItem(KEY, made);
  return made;
}

export function rename(text: string): void {
  const clean = text.replace(/[^\P{C}]/gu, "").trim().slice(0, 200);
  if (clean) localStorage.setItem(KEY, clean);
}
