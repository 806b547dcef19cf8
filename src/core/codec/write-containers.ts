import type { Fields } from "./field-shape.ts";
import { quoteText, type ValueWriter } from "./write-scalars.ts";

/** The writer of a repeated field from the writer of its elements. */
export function listWriter<Context>(element: ValueWriter<Context>): ValueWriter<Context> {
  const first = element.open;
  const later = `,${first}`;
  const append: ValueWriter<Context>["append"] = (out, value, context) => {
    const values = value as readonly unknown[]; // Repeated fields hold arrays.
    for (let i = 0; i < values.length; i++)
      out = element.append(out + (i === 0 ? first : later), values[i], context);
    return `${out}]`;
  };
  return { open: "[", append };
}

/** The writer of a map field from the writer of its values. */
export function mapWriter<Context>(element: ValueWriter<Context>): ValueWriter<Context> {
  const append: ValueWriter<Context>["append"] = (out, value, context) => {
    const values = value as Fields; // Map fields hold objects.
    let before = "";
    for (const key of Object.keys(values)) {
      out = element.append(`${out + before + quoteText(key)}:${element.open}`, values[key], context);
      before = ",";
    }
    return `${out}}`;
  };
  return { open: "{", append };
}
