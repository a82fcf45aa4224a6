/** Numbers as people read them. */

const plain = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

export const count = (number: number): string => plain.format(number);

export const many = (number: number, what: string): string =>
  `${count(number)} ${what}${number === 1 ? "" : "s"}`;

const UNITS: [number, string][] = [
  [1e9, "m"],
  [1e6, "mm"],
  [1e3, "µm"],
  [1, "nm"],
];

/** Return lengths in nanometres in the unit that suits the longest. */
export function lengths(nanometres: readonly number[]): string {
  const [size, unit] = UNITS.find(([size]) => Math.max(...nanometres) >= size) ?? [1, "nm"];
  return `${nanometres.map((length) => short.format(length / size)).join(" × ")} ${unit}`;
}

export const voxels = (size: readonly number[]): string => size.map(count).join(" × ");

const VOLUMES: [number, string][] = [
  [1e9, "mm³"],
  [1, "µm³"],
  [1e-9, "nm³"],
];

/** Return a volume in µm³ in the unit that suits it. */
export function volume(cubicMicrometres: number): string {
  const [size, unit] = VOLUMES.find(([size]) => cubicMicrometres >= size / 1000) ?? [1e-9, "nm³"];
  return `${short.format(cubicMicrometres / size)} ${unit}`;
}
