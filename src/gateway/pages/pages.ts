import type { HttpBody } from "../../../gen/google/api/httpbody_pb.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import type { ServedFiles } from "../http/served-files.ts";
import { newNonce, pageBody } from "./page-body.ts";
import { checkPagesOptions, type PagesOptions } from "./pages-options.ts";

/** Files and templates of a program. */
export interface Pages extends AsyncDisposable {
  /** Files of folders, for the option `files` of `HttpServer`; undefined without folders. */
  readonly files: ServedFiles | undefined;
  /** Names of the templates. */
  readonly templates: readonly string[];
  /**
   * Renders a template as the reply of an rpc that returns `google.api.HttpBody`.
   *
   * Templates see `data` as `it`, with a random `it.nonce` for `<script nonce="…">` and `<style nonce="…">`. What
   * `<%= … %>` writes is escaped.
   *
   * @param name path of the file in the folder of templates, without `.eta`, as it was there at the start
   * @throws Error for another name, and where the template throws: clients see INTERNAL without a text
   */
  render(name: string, data?: object): HttpBody;
  /** Ends what serves files. */
  close(): Promise<void>;
}

/**
 * Opens folders of files and compiles templates.
 *
 * @throws SetupError naming the option, the folder or the template that cannot be used, or the package that is not
 * installed: `@fastify/static` for files, `eta` for templates
 */
export async function openPages(options: Partial<PagesOptions> = {}): Promise<Pages> {
  const { folders, templates } = checkPagesOptions(options);
  const compiled =
    templates === undefined ? undefined : await (await import("./templates.ts")).Templates.open(templates);
  const files =
    folders.length === 0 ? undefined : await (await import("./folder-files.ts")).FolderFiles.open(folders);
  const close = async (): Promise<void> => files?.close();
  return {
    files,
    templates: compiled?.names ?? [],
    render(name, data = {}) {
      if (compiled === undefined)
        throw new SetupError("pages: there are no templates: set the option templates");
      const nonce = newNonce();
      return pageBody(compiled.render(name, { ...data, nonce }), nonce);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
