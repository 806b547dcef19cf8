import { readdir, readFile, readlink } from "node:fs/promises";

/** A process as the system knows it. */
export interface PortOwner {
  readonly pid: number;
  /** Its command line, cut to 80 characters. */
  readonly command: string;
}

/** State of a listening socket in Linux' table. */
const listening = "0A";

/**
 * The process that listens on a TCP port of this machine; undefined where the system does not tell, as for processes of
 * other users and on systems that are not Linux.
 */
export async function portOwner(port: number): Promise<PortOwner | undefined> {
  try {
    const sockets = new Set(
      (await Promise.all(["tcp", "tcp6"].map((table) => socketsOf(table, port)))).flat(),
    );
    if (sockets.size === 0) return undefined;
    for (const name of await readdir("/proc")) {
      if (!/^\d+$/.test(name) || !(await hasSocket(name, sockets))) continue;
      const line = await readFile(`/proc/${name}/cmdline`, "utf8");
      return { pid: Number(name), command: line.replaceAll("\0", " ").trim().slice(0, 80) };
    }
  } catch {
    return undefined; // There is no such table here.
  }
  return undefined;
}

/** The inodes of the sockets that listen on a port, by a table of /proc/net. */
async function socketsOf(table: string, port: number): Promise<string[]> {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const lines = (await readFile(`/proc/net/${table}`, "utf8").catch(() => "")).split("\n").slice(1);
  return lines.flatMap((line) => {
    const [, local = "", , state, , , , , , inode] = line.trim().split(/\s+/);
    return local.endsWith(suffix) && state === listening && inode !== undefined ? [`socket:[${inode}]`] : [];
  });
}

async function hasSocket(pid: string, sockets: ReadonlySet<string>): Promise<boolean> {
  const folder = `/proc/${pid}/fd`;
  const files = await readdir(folder).catch(() => []); // The process of another user, or one that has ended.
  const links = await Promise.all(files.map((file) => readlink(`${folder}/${file}`).catch(() => "")));
  return links.some((link) => sockets.has(link));
}
