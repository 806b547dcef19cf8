import { fstatSync } from "node:fs";
import { SetupError } from "../errors/setup-error.ts";

/** What `server.listen` of Node takes, of a host and a port. */
export type ListenTarget = { readonly backlog: number } & (
  | { readonly host: string; readonly port: number }
  | { readonly path: string }
  | { readonly fd: number; readonly host: string }
);

/**
 * How many connections wait until they are accepted, as far as the kernel allows (`net.core.somaxconn`). The kernel drops
 * further ones, and their clients try again a second later. Node's 511 are too few where the clients of a server that has
 * ended come to another one together.
 */
const backlog = 4_096;

/** The first descriptor that a service manager passes (sd_listen_fds(3)). */
const firstPassed = 3;

/**
 * What a server listens on: a host with its port, `unix:PATH`, or `fd:NUMBER`, a listening socket that another program
 * has opened, such as systemd.
 *
 * @throws SetupError for a descriptor that is no socket, or that `LISTEN_FDS` does not name
 */
export function listenTarget(
  name: string,
  host: string,
  port: number,
  env: NodeJS.ProcessEnv = process.env,
): ListenTarget {
  const path = unixPath(host);
  if (path !== undefined) return { path, backlog };
  const fd = passedSocket(host);
  if (fd === undefined) return { host, port, backlog };
  checkPassed(name, fd, env["LISTEN_FDS"]);
  return { fd, host, backlog };
}

/** The path in `unix:path`; undefined for other hosts. */
export function unixPath(host: string): string | undefined {
  return host.startsWith("unix:") ? host.slice("unix:".length) : undefined;
}

/** The descriptor in `fd:3`; undefined for other hosts. */
export function passedSocket(host: string): number | undefined {
  const [, fd] = /^fd:(\d+)$/.exec(host) ?? [];
  return fd === undefined ? undefined : Number(fd);
}

function checkPassed(name: string, fd: number, passed: string | undefined): void {
  if (passed !== undefined && !(fd >= firstPassed && fd < firstPassed + Number(passed))) {
    const last = firstPassed + Number(passed) - 1;
    const those =
      Number(passed) === 0 ? "none" : last === firstPassed ? `fd:${last}` : `fd:${firstPassed} to fd:${last}`;
    throw new SetupError(
      `${name} cannot listen on fd:${fd}: LISTEN_FDS is ${passed}, so the sockets that were passed are ${those}`,
    );
  }
  if (isSocket(fd)) return;
  throw new SetupError(
    `${name} cannot listen on fd:${fd}: this descriptor is no socket; start the program by what opens it, such as a systemd socket unit`,
  );
}

function isSocket(fd: number): boolean {
  try {
    return fstatSync(fd).isSocket();
  } catch {
    return false; // It is not open.
  }
}
