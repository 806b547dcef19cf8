/**
 * The contract as the server describes it in `model.json`.
 *
 * @typedef {"unary" | "server_streaming" | "client_streaming" | "bidi_streaming"} Kind
 *
 * @typedef {object} Variable a variable of a path
 * @property {readonly string[]} field names in JSON, outermost first
 * @property {number} start its first segment
 * @property {number} end the segment behind its last
 * @property {boolean} multi whether it can have more than one segment
 *
 * @typedef {object} Route one HTTP binding of an rpc
 * @property {string} verb HTTP method, or `*` for any
 * @property {string} path template
 * @property {readonly string[]} segments
 * @property {readonly boolean[]} literal which segments are literals
 * @property {string} customVerb behind the colon; empty for none
 * @property {readonly Variable[]} variables
 * @property {"*" | readonly string[] | null} body
 * @property {string} [response] member of the reply that is the body
 * @property {boolean} [implicit] the path that every rpc has
 * @property {string} [source] where the rule is
 *
 * @typedef {object} Example
 * @property {string} name
 * @property {string} message JSON
 * @property {Record<string, string>} [headers]
 *
 * @typedef {object} RpcEntry
 * @property {string} name
 * @property {Kind} kind
 * @property {string} input
 * @property {string} output
 * @property {string} [comment]
 * @property {string | true} [deprecated]
 * @property {boolean} [safe]
 * @property {boolean} [idempotent]
 * @property {boolean} [destructive]
 * @property {number} [httpStatus]
 * @property {readonly Route[]} routes
 * @property {Record<string, unknown>} [access]
 * @property {string} [criticality]
 * @property {number} [cost]
 * @property {readonly Example[]} [examples]
 *
 * @typedef {RpcEntry & { id: string, service: Service }} Rpc an rpc, `id` is `package.Service/Method`
 *
 * @typedef {object} ServiceEntry
 * @property {string} name
 * @property {string} file
 * @property {string} [comment]
 * @property {string | true} [deprecated]
 * @property {readonly RpcEntry[]} rpcs
 *
 * @typedef {Omit<ServiceEntry, "rpcs"> & { short: string, package: string, rpcs: readonly Rpc[] }} Service
 *
 * @typedef {object} Field
 * @property {string} name in JSON
 * @property {string} [proto] its other name
 * @property {number} number
 * @property {string} type a scalar, or the full name of a message or an enum
 * @property {boolean} [list]
 * @property {string} [key] scalar of the keys of a map
 * @property {boolean} [presence] whether an unset scalar differs from its default
 * @property {string} [oneof]
 * @property {boolean} [required]
 * @property {boolean} [outputOnly]
 * @property {boolean} [inputOnly]
 * @property {boolean} [immutable]
 * @property {string | true} [deprecated]
 * @property {string} [refersTo]
 * @property {string} [comment]
 * @property {string} [rules]
 * @property {Record<string, any>} [hints]
 *
 * @typedef {object} MessageType
 * @property {"message"} kind
 * @property {string} name
 * @property {string} file
 * @property {string} [comment]
 * @property {string | true} [deprecated]
 * @property {readonly Field[]} fields
 * @property {readonly { name: string, comment?: string }[]} [oneofs]
 * @property {string} [rules]
 *
 * @typedef {object} EnumType
 * @property {"enum"} kind
 * @property {string} name
 * @property {string} file
 * @property {string} [comment]
 * @property {string | true} [deprecated]
 * @property {readonly { name: string, number: number, comment?: string, deprecated?: boolean }[]} values
 *
 * @typedef {MessageType | EnumType} Type
 *
 * @typedef {object} ModelText
 * @property {string} title
 * @property {readonly { text: string, url: string }[]} links
 * @property {boolean} call
 * @property {boolean} live
 * @property {string} prefix
 * @property {string} [socket]
 * @property {{ fieldNames: "json" | "proto", enums: string, int64: string, defaults: string }} json
 * @property {"ignore" | "reject"} unknownFields
 * @property {{ defaultTimeoutMs: number, maxTimeoutMs: number, maxBodyBytes: number }} limits
 * @property {readonly ServiceEntry[]} services
 * @property {readonly Type[]} types
 */

/** The contract, with what is looked up in it. */
export class Model {
  /** @param {ModelText} text */
  constructor(text) {
    this.text = text;
    /** @type {readonly Service[]} */
    this.services = text.services.map(toService);
    /** @type {Map<string, Rpc>} */
    this.rpcs = new Map(this.services.flatMap(({ rpcs }) => rpcs.map((rpc) => [rpc.id, rpc])));
    /** @type {Map<string, Type>} */
    this.types = new Map(text.types.map((type) => [type.name, type]));
    /** @type {Map<string, string[]> | undefined} */
    this.users = undefined;
  }

  /**
   * The rpcs and the types that mention a type, by their fragments.
   *
   * @param {string} name
   */
  usersOf(name) {
    if (this.users === undefined) {
      this.users = new Map();
      for (const rpc of this.rpcs.values()) {
        for (const type of new Set([rpc.input, rpc.output])) use(this.users, type, `rpc/${rpc.id}`);
      }
      for (const type of this.types.values()) {
        if (type.kind === "enum") continue;
        for (const used of new Set(type.fields.map((field) => field.type)))
          use(this.users, used, `type/${type.name}`);
      }
    }
    return this.users.get(name) ?? [];
  }

  /**
   * A message; undefined for an enum, a scalar, and what is not shown.
   *
   * @param {string} name
   * @returns {MessageType | undefined}
   */
  message(name) {
    const type = this.types.get(name);
    return type?.kind === "message" ? type : undefined;
  }
}

/**
 * @param {Map<string, string[]>} users
 * @param {string} name
 * @param {string} user
 */
function use(users, name, user) {
  const known = users.get(name);
  if (known === undefined) users.set(name, [user]);
  else known.push(user);
}

/**
 * @param {ServiceEntry} entry
 * @returns {Service}
 */
function toService(entry) {
  const at = entry.name.lastIndexOf(".");
  /** @type {Service} */
  const service = {
    ...entry,
    short: entry.name.slice(at + 1),
    package: entry.name.slice(0, Math.max(at, 0)),
    rpcs: [],
  };
  service.rpcs = entry.rpcs.map((rpc) => ({ ...rpc, id: `${entry.name}/${rpc.name}`, service }));
  return service;
}

/** @param {Kind} kind */
export function kindText(kind) {
  return {
    unary: "unary",
    server_streaming: "server stream",
    client_streaming: "client stream",
    bidi_streaming: "bidi stream",
  }[kind];
}

/** @param {Kind} kind whether requests are a stream */
export function sendsMany(kind) {
  return kind === "client_streaming" || kind === "bidi_streaming";
}

/** @param {Kind} kind whether replies are a stream */
export function getsMany(kind) {
  return kind === "server_streaming" || kind === "bidi_streaming";
}

/**
 * The name of a type without its package.
 *
 * @param {string} name
 */
export function shortName(name) {
  const parts = name.split(".");
  const first = parts.findIndex((part) => /^[A-Z]/.test(part));
  return first < 0 ? (parts.at(-1) ?? name) : parts.slice(first).join(".");
}

/**
 * The names of a field in JSON; the first is the one that is written.
 *
 * @param {Field} field
 * @returns {[string, ...string[]]}
 */
export function namesOf({ name, proto }) {
  return proto === undefined ? [name] : [name, proto];
}

/**
 * The first sentence of a comment, in one line.
 *
 * @param {string | undefined} comment
 */
export function summaryOf(comment) {
  const paragraph = (comment ?? "").split(/\n\s*\n/)[0] ?? "";
  return paragraph.replaceAll(/\s+/g, " ").trim();
}
