import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { endianness } from "node:os";

/** What the system knows of a TCP connection. */
export interface KnownConnection {
  /** Whether the peer has said that it will send no more, be it behind bytes that nobody has read. */
  readonly closedByPeer: boolean;
  /** How often the oldest bytes without an acknowledgement have been sent again; 0 where none wait for one. */
  readonly retries: number;
}

/** The connections of this machine, as the system sees them. */
export interface ConnectionTable {
  /** Undefined where there is none between these two ends. */
  connection(socket: Socket): KnownConnection | undefined;
  /** Whether somebody listens at this end of `socket`: the table is that of our network, then. */
  listensFor(socket: Socket): boolean;
}

const files = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];

/** States and timers of the table (Linux, include/net/tcp_states.h and net/ipv4/tcp_ipv4.c). */
const timeWait = "06";
const closeWait = "08";
const lastAck = "09";
const listening = "0A";
const retransmission = "01";

/** A longer table, of some 55,000 connections, costs more than it is worth. */
const maxTableBytes = 8 * 1024 * 1024;

/**
 * Reads the table of TCP connections that Linux keeps; undefined on other systems and for one that is too long. It tells what a socket does not as
 * long as nobody reads from it.
 */
export async function readConnections(): Promise<ConnectionTable | undefined> {
  if (process.platform !== "linux") return undefined;
  const texts = await Promise.all(files.map((file) => readFile(file, "latin1").catch(() => "")));
  const bytes = texts.reduce((sum, text) => sum + text.length, 0);
  if (bytes === 0 || bytes > maxTableBytes) return undefined;
  const lines = new Map<string, string>();
  const listeners = new Set<string>();
  for (const line of texts.join("").split("\n")) {
    // `sl: local:port remote:port state tx:rx timer:when retransmits …`
    const local = line.indexOf(": ") + 2;
    const localEnd = line.indexOf(" ", local);
    const remoteEnd = line.indexOf(" ", localEnd + 1);
    if (local < 2 || localEnd < 0 || remoteEnd < 0) continue;
    const port = line.slice(localEnd - 4, localEnd);
    const rest = line.slice(remoteEnd + 1);
    if (rest.startsWith(listening)) listeners.add(port);
    else if (!rest.startsWith(timeWait)) lines.set(`${port}${line.slice(localEnd, remoteEnd)}`, rest);
  }
  return {
    connection(socket) {
      const rest = lines.get(keyOf(socket));
      if (rest === undefined) return undefined;
      const [state = "", , timer = "", retries = "0"] = rest.split(" ", 4);
      return {
        closedByPeer: state === closeWait || state === lastAck,
        retries: timer.startsWith(retransmission) ? Number.parseInt(retries, 16) : 0,
      };
    },
    listensFor: ({ localPort = 0 }) => listeners.has(portText(localPort)),
  };
}

/** As a line of the table has it: our port, then the peer's address and port. */
function keyOf({ localPort = 0, remoteAddress = "", remotePort = 0 }: Socket): string {
  return `${portText(localPort)} ${addressText(remoteAddress)}:${portText(remotePort)}`;
}

function portText(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, "0");
}

/** An address as the table has it: words of 32 bits, each in the byte order of the machine. */
export function addressText(address: string): string {
  const bytes = address.includes(":") ? bytesOfV6(address) : address.split(".").map(Number);
  let text = "";
  for (let start = 0; start < bytes.length; start += 4) {
    const word = bytes.slice(start, start + 4);
    if (endianness() === "LE") word.reverse();
    for (const byte of word) text += byte.toString(16).toUpperCase().padStart(2, "0");
  }
  return text;
}

function bytesOfV6(address: string): number[] {
  const [plain = ""] = address.split("%", 1); // The zone is no part of it.
  const [before = "", after] = plain.split("::", 2);
  const head = bytesOfGroups(before);
  const tail = after === undefined ? [] : bytesOfGroups(after);
  return [...head, ...Array<number>(Math.max(0, 16 - head.length - tail.length)).fill(0), ...tail];
}

function bytesOfGroups(groups: string): number[] {
  if (groups === "") return [];
  return groups.split(":").flatMap((group) => {
    if (group.includes(".")) return group.split(".").map(Number);
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}
