import { isIP } from "node:net";
import type { Setting } from "./setting.ts";
import type { SourceNode } from "./source-node.ts";

/** A flag whose text is not the text of one key. */
export interface SpecialFlag {
  /** What stands for the value in the help; undefined for a switch. */
  readonly value: string | undefined;
  readonly help: string;
  readonly repeatable?: boolean;
  /**
   * The keys that it sets.
   *
   * @param texts as they were given
   * @param node a text as the value of a key
   */
  settings(texts: readonly string[], node: (text: string) => SourceNode): readonly Setting[];
}

/** The provider that `--auth-issuer` makes. */
const cliProvider = ["auth", "providers", "cli", "jwt"] as const;

/** Such flags by their names in code. */
export const specialFlags: Readonly<Record<string, SpecialFlag>> = {
  noWebsockets: {
    value: undefined,
    help: "Ignore upgrades to WebSocket",
    settings: ([text = ""], node) => [
      {
        path: ["websocket", "enabled"],
        value: node(text === "true" ? "false" : text === "false" ? "true" : text),
      },
    ],
  },
  lenientContentType: {
    value: undefined,
    help: "Read bodies as JSON whatever their content type",
    settings: ([text = ""], node) => [
      {
        path: ["http", "content_type"],
        value: node(text === "true" ? "lenient" : text === "false" ? "strict" : text),
      },
    ],
  },
  altSvc: {
    value: "PORT[,SECONDS]",
    help: "Say by Alt-Svc that a proxy serves HTTP/3 at this port, for 3600 s unless it says otherwise",
    settings: ([text = ""], node) => {
      const [, port = text, seconds] = /^([^,]*),(\d+)$/.exec(text) ?? [];
      const settings: Setting[] = [{ path: ["http", "alt_svc", "port"], value: node(port) }];
      if (seconds !== undefined)
        settings.push({ path: ["http", "alt_svc", "max_age"], value: node(`${seconds}s`) });
      return settings;
    },
  },
  http3Port: {
    value: "PORT|off",
    help: "UDP port to serve HTTP/3 on; needs TLS and the package @currentspace/http3",
    settings: ([text = ""], node) =>
      text === "off"
        ? [{ path: ["quic", "enabled"], value: node("false") }]
        : [
            { path: ["quic", "enabled"], value: node("true") },
            { path: ["quic", "port"], value: node(text) },
          ],
  },
  register: {
    value: "consul[=NAME]",
    help: "Register with Consul as this service; without NAME as the program's name",
    settings: ([text = ""], node) => {
      const [, name] = /^consul(?:=(.+))?$/s.exec(text) ?? [];
      if (text === "consul") {
        return [
          { path: ["register", "consul"], value: { kind: "map", place: node(text).place, entries: [] } },
        ];
      }
      // Another registry is no key, which the error says.
      if (name === undefined) return [{ path: ["register", text], value: node("") }];
      return [{ path: ["register", "consul", "name"], value: node(name) }];
    },
  },
  registerAddress: {
    value: "HOST[:PORT]",
    help: "Address to register in place of the bound one, such as that of a mapped port",
    settings: ([text = ""], node) => {
      const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(text) ?? [];
      const host = bracketed ?? plain ?? (isIP(text) === 6 ? text : undefined);
      const address: Setting = { path: ["register", "consul", "address"], value: node(host ?? text) };
      if (port === undefined) return [address];
      return [address, { path: ["register", "consul", "port"], value: node(port) }];
    },
  },
  upstream: {
    value: "[NAME=]TARGET",
    repeatable: true,
    help: "A service to call, such as users=consul:///users or dns:///orders:42001; several are served together by their reflection",
    settings: (texts, node) =>
      texts.map((text) => {
        const [, name, target = text] = /^([A-Za-z][\w.-]*)=(.*)$/s.exec(text) ?? [];
        return { path: ["upstreams", name ?? target, "target"], value: node(target) };
      }),
  },
  discover: {
    value: "consul:TAG|k8s:SELECTOR",
    help: "Serve the services with this tag in Consul, or with these labels in Kubernetes, as they come and go",
    settings: ([text = ""], node) => {
      const [, kind = "", value = ""] = /^(consul|k8s):(.*)$/s.exec(text) ?? [];
      const key = kind === "consul" ? "consul_tag" : kind === "k8s" ? "k8s_selector" : text;
      return [{ path: ["discovery", "catalog", key], value: node(value) }];
    },
  },
  authIssuer: {
    value: "URL",
    help: "Callers are known by JWTs of this issuer, which is the provider cli; with --auth-audience",
    settings: ([text = ""], node) => [{ path: [...cliProvider, "issuer"], value: node(text) }],
  },
  authAudience: {
    value: "NAME",
    repeatable: true,
    help: "An audience of which JWTs of --auth-issuer must have one",
    settings: (texts, node) => [
      {
        path: [...cliProvider, "audiences"],
        value: {
          kind: "list",
          place: node(texts.at(-1) ?? "").place,
          items: texts.map((text) => node(text)),
        },
      },
    ],
  },
  authJwks: {
    value: "FILE",
    help: "File of the keys of --auth-issuer, instead of those that it publishes",
    settings: ([text = ""], node) => [{ path: [...cliProvider, "jwks_file"], value: node(text) }],
  },
  accessLog: {
    value: "FILE|off",
    help: "Write one line for each call to this file, stderr or stdout; off for none",
    settings: ([text = ""], node) =>
      text === "off"
        ? [{ path: ["telemetry", "access_log", "enabled"], value: node("false") }]
        : [
            { path: ["telemetry", "access_log", "enabled"], value: node("true") },
            { path: ["telemetry", "access_log", "destination"], value: node(text) },
          ],
  },
};
