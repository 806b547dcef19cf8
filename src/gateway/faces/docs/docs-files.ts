import { pathOf, queryOf } from "../../../core/net/request-target.ts";
import { HttpError } from "../../http/http-error.ts";
import type { HttpExchange } from "../../http/exchange.ts";
import type { Contract, FaceHost } from "../face.ts";
import { pageHeaders } from "../face-pages.ts";
import { sendTagged, type Tagged, tagged } from "../../http/browsers/tagged-document.ts";
import type { DocsOptions } from "./docs-options.ts";
import { type ModelInit, shownContract, shownRpc } from "./shown-contract.ts";
import { mediaTypeOf, pageWith } from "./page-list.ts";
import { withoutComments } from "./without-comments.ts";

const headers = pageHeaders("'self'");

/** The files of the console for one contract; each is read or made when it is first asked for. */
export class DocsFiles {
  readonly #init: Omit<ModelInit, "comments">;
  readonly #comments: Contract["comments"];
  readonly #made = new Map<string, Promise<Tagged>>();

  /** @throws SetupError as `ShownContract` */
  constructor(contract: Contract, options: DocsOptions, host: FaceHost) {
    this.#init = { shown: shownContract(contract, options), options, host };
    this.#comments = contract.comments;
  }

  async page(exchange: HttpExchange): Promise<void> {
    const { shown, options } = this.#init;
    const base = options.path.slice(options.path.lastIndexOf("/") + 1);
    const title = options.title ?? shown.services[0]?.name ?? "API";
    const html = await this.#once("", async () => pageWith(await textOf("index.html"), base, title), "html");
    send(html, exchange);
  }

  /** From a path with a slash at its end to the page. */
  redirect(exchange: HttpExchange): void {
    const { path } = this.#init.options;
    // Relative, for a prefix in front of all paths is not known to be the client's.
    const location = `../${path.slice(path.lastIndexOf("/") + 1)}`;
    exchange.respond(308, { ...headers, location }, undefined);
  }

  async file(name: string, exchange: HttpExchange): Promise<void> {
    send(await this.#once(name, async () => withoutComments(name, await textOf(name)), name), exchange);
  }

  async model(exchange: HttpExchange): Promise<void> {
    const model = await this.#once("model.json", () => this.#model(), "json");
    send(model, exchange);
  }

  /** A request for an rpc, made from its schema; 404 for an rpc that is not shown. */
  async example(exchange: HttpExchange): Promise<void> {
    const { url } = exchange.head;
    const name = new URLSearchParams(queryOf(url, pathOf(url))).get("rpc") ?? "";
    const { shown, host } = this.#init;
    const method = shownRpc(shown, name);
    if (method === undefined) throw new HttpError(404, `there is no rpc ${name}`);
    const { exampleText } = await import("./example-text.ts"); // When one is first asked for.
    const example = await this.#once(
      `example ${name}`,
      () => Promise.resolve(exampleText(method, shown, host)),
      "json",
    );
    send(example, exchange);
  }

  /** The contract as a binary `google.protobuf.FileDescriptorSet`, for tools that have none. */
  async contract(exchange: HttpExchange): Promise<void> {
    const contract = await this.#once("contract.binpb", () => this.#contract(), "binpb");
    send(contract, exchange);
  }

  async #model(): Promise<string> {
    const [{ modelText }, { inSlices }, comments] = await Promise.all([
      import("./model.ts"), // When the model is first asked for.
      import("../in-slices.ts"),
      this.#comments(),
    ]);
    return inSlices(modelText({ ...this.#init, comments }));
  }

  async #contract(): Promise<Uint8Array> {
    const { contractBytes } = await import("./contract-bytes.ts"); // When it is first asked for.
    return contractBytes(this.#init.shown.services);
  }

  #once(key: string, make: () => Promise<string | Uint8Array>, name: string): Promise<Tagged> {
    let made = this.#made.get(key);
    if (made === undefined) {
      made = make().then((body) => tagged(body, mediaTypeOf(name)));
      this.#made.set(key, made);
      made.catch(() => this.#made.delete(key)); // The next request tries again.
    }
    return made;
  }
}

async function textOf(file: string): Promise<string> {
  const { pageText } = await import("./page/page-files.ts"); // When the console is first asked for.
  return pageText(file);
}

function send(file: Tagged, exchange: HttpExchange): void {
  sendTagged(file, headers, exchange);
}
