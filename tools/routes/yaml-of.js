import { stringify } from "yaml";

const form = { lineWidth: 0, aliasDuplicateObjects: false };

/** Objects of Kubernetes as one file, in the form that the formatter leaves as it is. */
export function yamlOf(objects) {
  return objects.map((object) => stringify(object, form)).join("---\n");
}
