import {
  type DescEnum,
  type DescField,
  type DescMessage,
  type DescMethod,
  type DescService,
  getOption,
  hasOption,
} from "@bufbuild/protobuf";
import {
  api_visibility,
  enum_visibility,
  field_visibility,
  message_visibility,
  method_visibility,
} from "../../../gen/google/api/visibility_pb.ts";

/** Which elements of a contract are shown, by the labels of `google.api.visibility`. */
export class Visibility {
  readonly #labels: ReadonlySet<string>;

  /** @param labels of which an element must have one, if it has any */
  constructor(labels: readonly string[]) {
    this.#labels = new Set(labels);
  }

  /** Whether an element is shown: it has no labels, or one of those that are. */
  shows(desc: DescService | DescMethod | DescMessage | DescField | DescEnum): boolean {
    const restriction = restrictionOf(desc);
    if (restriction === "") return true;
    return restriction.split(",").some((label) => this.#labels.has(label.trim()));
  }
}

function restrictionOf(desc: DescService | DescMethod | DescMessage | DescField | DescEnum): string {
  switch (desc.kind) {
    case "service":
      return hasOption(desc, api_visibility) ? getOption(desc, api_visibility).restriction : "";
    case "rpc":
      return hasOption(desc, method_visibility) ? getOption(desc, method_visibility).restriction : "";
    case "message":
      return hasOption(desc, message_visibility) ? getOption(desc, message_visibility).restriction : "";
    case "field":
      return hasOption(desc, field_visibility) ? getOption(desc, field_visibility).restriction : "";
    case "enum":
      return hasOption(desc, enum_visibility) ? getOption(desc, enum_visibility).restriction : "";
  }
}
