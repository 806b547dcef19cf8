import { create, type DescMessage, type MessageInitShape, type MessageShape } from "@bufbuild/protobuf";
import type { Fields } from "./field-shape.ts";
import { codeIsAllowed } from "./generated-code.ts";
import { fieldsMaker } from "./init-to-message-code.ts";

/** Makes messages of one type of objects with some of their fields; a message of the type is given back as it is. */
export type MessageMaker<D extends DescMessage = DescMessage> = (
  init: MessageInitShape<D>,
) => MessageShape<D>;

const nothing: Fields = {};
const makers = new WeakMap<DescMessage, MessageMaker>();

/** The maker of a message type: the same messages as those of `create`, in less time. It is made once for each type. */
export function messageMaker<D extends DescMessage>(schema: D): MessageMaker<D> {
  let maker = makers.get(schema);
  if (maker === undefined) {
    maker = makerOf(schema);
    makers.set(schema, maker);
  }
  return maker;
}

function makerOf(schema: DescMessage): MessageMaker {
  if (!codeIsAllowed) return (init) => create(schema, init);
  const { typeName } = schema;
  const generated = fieldsMaker(schema);
  return (init: Fields | undefined) => {
    const fields = init ?? nothing; // JavaScript may give none.
    return (fields["$typeName"] === typeName ? fields : generated.run(fields)) as MessageShape<DescMessage>;
  };
}
