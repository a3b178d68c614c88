/**
 * The protocol between the daemon and its callers, the launcher and the command line, over `weft.sock`. Version 1. Pure; the
 * launcher (cmd/launcher) has it in C.
 *
 * A connection has one request:
 *
 *     "WEFT"  u16 version  u16 kind  u32 environment bytes  u32 stdin bytes   environment   stdin
 *
 * and its answer one or two frames:
 *
 *     "WEFT"  u16 version  u16 kind  u32 status             u32 body bytes    body
 *
 * `accepted` and then `answered`; `answered` alone; or `elsewhere` alone: the caller does the call itself. `accepted` may come together with
 * the answer, so a caller that is cut off before it knows little: the daemon has gone before it began, or before it could answer.
 * It may try again either way, for the verbs can be repeated. Numbers are little-endian: both sides are on one machine, and the
 * machines that weft is built for are.
 */
export { ProtocolError, protocolVersion, headerBytes, type ProtocolFault } from './wire.ts';
export {
  callerNetnsVariable, encodeRequest, environmentBytesMax, requestBytesMax, requestDeadlineMs, RequestDecoder, stdinBytesMax, targetNetnsVariable,
  type Request, type RequestKind,
} from './request.ts';
export {
  answerBytesMax, elsewhereReasons, encodeFrame, FrameDecoder, type ElsewhereReason, type Frame, type FrameContent, type FrameKind,
} from './frame.ts';
