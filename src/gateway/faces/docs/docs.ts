import { checkOptions } from "../../../core/config/check-options.ts";
import { SetupError } from "../../../core/errors/setup-error.ts";
import { type StopReport, sumOfReports } from "../../../core/lifecycle/lifecycle.ts";
import type { CallWatcher } from "../../../core/telemetry/call-books.ts";
import type { HttpExchange } from "../../http/exchange.ts";
import type { Contract, Face, FaceHost, FacePath, MountedFace } from "../face.ts";
import { chosenServices } from "../chosen-services.ts";
import { type FacePage, relativeLink } from "../face-pages.ts";
import type { DocsFiles } from "./docs-files.ts";
import { type DocsLink, type DocsOptions, docsDefaults } from "./docs-options.ts";
import { Live } from "./live.ts";
import { pageFiles } from "./page-list.ts";

/** What the console reads of the server, below its path. */
const documents = ["model.json", "contract.binpb", "example.json"];

/**
 * A console in the browser: documentation of the rpcs of a server, and calls of all kinds.
 *
 * It is served as it lies in the package and asks no other host for anything.
 *
 * @throws SetupError naming the option that is wrong
 */
export function docs(options: Partial<DocsOptions> = {}): Face {
  checkOptions<DocsOptions>("docs", options, docsDefaults);
  const merged: DocsOptions = { ...docsDefaults, ...options };
  const { path, live, links } = merged;
  if (!/^(?:\/[\w.~-]+)+$/.test(path))
    throw new SetupError(`docs: path: expected a path such as /docs, found ${JSON.stringify(path)}`);
  if (typeof live !== "boolean" && live !== "loopback")
    throw new SetupError(`docs: live: expected true, false or "loopback", found ${JSON.stringify(live)}`);
  for (const { url } of links) {
    if (!/^(?:https?:\/\/|\/)/.test(url))
      throw new SetupError(`docs: links: expected an address by http or https, or a path, found ${url}`);
  }
  const own = live === false ? documents : [...documents, "live"];
  const paths = [path, `${path}/`, ...[...pageFiles, ...own].map((file) => `${path}/${file}`)];
  return {
    name: "docs",
    paths,
    page: { text: "Console", path },
    mount: (host, pages) => new MountedDocs({ ...merged, links: [...linksTo(pages, path), ...links] }, host),
  };
}

function linksTo(pages: readonly FacePage[], path: string): readonly DocsLink[] {
  return pages.map(({ text, path: to }) => ({ text, url: relativeLink(path, to) }));
}

class MountedDocs implements MountedFace {
  readonly #options: DocsOptions;
  readonly #host: FaceHost;
  readonly #live: Live | undefined;

  constructor(options: DocsOptions, host: FaceHost) {
    this.#options = options;
    this.#host = host;
    this.#live = options.live === false ? undefined : new Live(options.live, host);
  }

  get watcher(): CallWatcher | undefined {
    return this.#live?.books;
  }

  use(contract: Contract): ReadonlyMap<string, FacePath> {
    const { path, guard, examples } = this.#options;
    const rpcs = new Set(
      contract.services.flatMap(({ typeName, methods }) => methods.map(({ name }) => `${typeName}/${name}`)),
    );
    // A contract that comes by reflection may come later.
    const unknown = rpcs.size === 0 ? undefined : Object.keys(examples).find((name) => !rpcs.has(name));
    if (unknown !== undefined) throw new SetupError(`docs: examples: there is no rpc ${unknown}`);
    chosenServices("docs", contract, this.#options);
    const files = this.#filesOf(contract);
    const at = (answer: FacePath["answer"]): FacePath => ({ methods: ["GET", "HEAD"], guard, answer });
    const of = (answer: (files: DocsFiles, exchange: HttpExchange) => void | Promise<void>): FacePath =>
      at(async (exchange) => answer(await files(), exchange));
    const file = (name: string): [string, FacePath] => [
      `${path}/${name}`,
      of((made, exchange) => made.file(name, exchange)),
    ];
    const live = this.#live;
    return new Map([
      ...(live === undefined ? [] : [[`${path}/live`, at((exchange) => live.answer(exchange))] as const]),
      [path, of((made, exchange) => made.page(exchange))],
      [`${path}/`, of((made, exchange) => made.redirect(exchange))],
      ...pageFiles.map(file),
      [`${path}/model.json`, of((made, exchange) => made.model(exchange))],
      [`${path}/example.json`, of((made, exchange) => made.example(exchange))],
      [`${path}/contract.binpb`, of((made, exchange) => made.contract(exchange))],
    ]);
  }

  /** The files of the console, which are loaded when the first of them is asked for. */
  #filesOf(contract: Contract): () => Promise<DocsFiles> {
    let made: Promise<DocsFiles> | undefined;
    const make = async (): Promise<DocsFiles> => {
      const { DocsFiles } = await import("./docs-files.ts");
      return new DocsFiles(contract, this.#options, this.#host);
    };
    return () => (made ??= make());
  }

  /** Tells pages that look to come again later. */
  async stop(): Promise<StopReport> {
    this.#live?.stop();
    return sumOfReports([]);
  }

  describe(origin: string): readonly string[] {
    return [`[DOCS] ${origin}${this.#options.path}`];
  }
}
