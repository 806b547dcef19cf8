import { create, type DescMessage, type MessageInitShape, type MessageShape } from "@bufbuild/protobuf";
import { messageDecoder } from "../../core/codec/binary-to-message.ts";
import {
  type NodeFrame,
  NodeFrameSchema,
  type NodePart,
  NodePartSchema,
} from "../../../gen/ts_ms/hub/v1/node_pb.ts";

import { binaryWriter } from "../../core/codec/message-to-binary.ts";

const frameBytes = binaryWriter(NodeFrameSchema);

/** Of the form of frames. */
const version = 1;
const idForm = /^[0-9A-Za-z]{1,64}$/;

/** A frame as it is written; the version is that of this release. */
export type FrameInit = Omit<MessageInitShape<typeof NodeFrameSchema>, "$typeName" | "version">;

export function writeFrame(frame: FrameInit): Uint8Array {
  return frameBytes(create(NodeFrameSchema, { ...frame, version }));
}

/** @returns the frame; `broken` for bytes that are none, `later` for one of a form that this release does not know */
export function readFrame(bytes: Uint8Array): NodeFrame | "broken" | "later" {
  let frame: NodeFrame;
  try {
    frame = messageDecoder(NodeFrameSchema)(bytes);
  } catch {
    return "broken";
  }
  if (frame.version === 0 || !idForm.test(frame.from) || frame.life === 0) return "broken";
  return frame.version > version ? "later" : frame;
}

/** A message as a part of a frame. */
export function partOf<D extends DescMessage>(schema: D, message: MessageInitShape<D>): NodePart {
  return create(NodePartSchema, {
    type: schema.typeName,
    body: binaryWriter(schema)(create(schema, message)),
  });
}

/** The message of a part; undefined where it is broken. */
export function messageOfPart<D extends DescMessage>(schema: D, part: NodePart): MessageShape<D> | undefined {
  try {
    return messageDecoder(schema)(part.body);
  } catch {
    return undefined;
  }
}
