import { Code, ConnectError } from "../../errors/errors.ts";
import { entriesOf, textOf, type Members } from "./members.ts";

/** A port of a slice; without a number all ports are meant. */
interface SlicePort {
  readonly name: string;
  readonly number: number | undefined;
}

/**
 * Finds the port of endpoints, which each slice states for its own: one name may be another number in each of them.
 *
 * @param wanted name or number; undefined for the only one
 * @returns a function from slice to number, which is undefined for a slice that has no such port
 * @throws ConnectError UNAVAILABLE if no slice has the port, or if there are several to choose from
 */
export function portsOf(
  service: string,
  slices: readonly Members[],
  wanted: string | number | undefined,
): (slice: Members) => number | undefined {
  const known = new Map<string, SlicePort>();
  for (const port of slices.flatMap(slicePorts)) known.set(`${port.name}:${port.number}`, port);
  const all = [...known.values()];
  const names = new Set(all.map(({ name }) => name));
  if (wanted === undefined) {
    if (names.size > 1) throw unclear(`${service} has several ports, say which: ${textFor(all)}`);
    if (slices.length > 0 && all.every(({ number }) => number === undefined)) {
      throw unclear(`${service} has no port, say a number`);
    }
    return (slice) => slicePorts(slice).find(({ number }) => number !== undefined)?.number;
  }
  const find = (slice: Members): number | undefined => {
    const ports = slicePorts(slice);
    if (typeof wanted === "string") return ports.find(({ name }) => name === wanted)?.number;
    // A slice without ports is of a service that only has addresses.
    const isHere =
      ports.length === 0 || ports.some(({ number }) => number === undefined || number === wanted);
    return isHere ? wanted : undefined;
  };
  if (all.length > 0 && slices.every((slice) => find(slice) === undefined)) {
    throw unclear(`${service} has no port ${wanted}, but ${textFor(all)}`);
  }
  return find;
}

function slicePorts(slice: Members): SlicePort[] {
  return entriesOf(slice["ports"])
    .filter(({ protocol }) => protocol === undefined || protocol === null || protocol === "TCP")
    .map(({ name, port }) => ({
      name: textOf(name) ?? "",
      number: typeof port === "number" && port > 0 ? port : undefined,
    }));
}

function textFor(ports: readonly SlicePort[]): string {
  return ports
    .map(({ name, number }) => (name === "" ? `${number}` : `${name} (${number})`))
    .toSorted()
    .join(", ");
}

function unclear(problem: string): ConnectError {
  return new ConnectError(`kubernetes: ${problem}`, Code.Unavailable);
}
