/** The reason why events are missing at a gap. */
export type GapReason =
  /** The server no longer keeps all missed events, or does not know the last event id. */
  | 'truncated'
  /** The client could not resume, usually because the server keeps no events. */
  | 'no-resume'
  /** The server's event ids have started again. Only a server of oRPC does that. */
  | 'reset'
  /** An event arrived that this client cannot decode. */
  | 'unreadable'

/**
 * Reports that events are missing, or may be. `next` throws it and can be called again
 * after it; if `onGap` is set, it is called instead.
 */
export class GapError extends Error {
  override readonly name = 'GapError'

  constructor(
    readonly reason: GapReason,
    readonly channel: string,
    /** The last event before the gap, undefined if there was none. */
    readonly lastEventId: string | undefined,
    options?: ErrorOptions,
  ) {
    super(`events of channel ${JSON.stringify(channel)} are missing: ${reason}`, options)
  }
}

/**
 * Reports that the connection was lost while a call was running, or that the
 * iterator is closed. The call may or may not have run.
 */
export class DisconnectedError extends Error {
  override readonly name = 'DisconnectedError'
}

/** closedError returns the error of calls on an iterator that has ended. */
export function closedError(cause?: unknown): DisconnectedError {
  return new DisconnectedError('the iterator is closed', { cause })
}

/**
 * Ends the stream of a method that was read too slowly, after the events that have
 * arrived. The server has stopped sending.
 */
export class OverflowError extends Error {
  override readonly name = 'OverflowError'
}

/**
 * Ends an iterator that the server refuses: the upgrade was refused with a status, or
 * the socket was closed with a code that is final.
 */
export class RefusedError extends Error {
  override readonly name = 'RefusedError'

  constructor(
    /** An HTTP status: 401, 403, 404, 410... */
    readonly status: number,
    reason: string,
    options?: ErrorOptions,
  ) {
    super(`refused with status ${status}${reason === '' ? '' : `: ${reason}`}`, options)
  }
}

/** An error that a procedure has answered with: oRPC's ORPCError, without its package. */
export class CallError extends Error {
  override readonly name = 'CallError'

  constructor(
    readonly code: string,
    readonly status: number,
    message: string,
    readonly data: unknown,
    /** Reports whether the contract of the procedure declares this error. */
    readonly defined: boolean,
  ) {
    super(message)
  }
}

/** callError returns the error of an answer with the given status and body. */
export function callError(status: number, body: unknown): CallError {
  const e = body as Partial<CallError> | undefined
  if (typeof e === 'object' && e !== null && typeof e.code === 'string' && typeof e.message === 'string') {
    return new CallError(e.code, e.status ?? status, e.message, e.data, e.defined === true)
  }
  return new CallError('MALFORMED_ORPC_ERROR_RESPONSE', status, `the server answered with status ${status}`, body, false)
}

/** statusOf returns the HTTP status of an error, or 0 if it has none. */
export function statusOf(error: unknown): number {
  const status = (error as { status?: unknown } | null | undefined)?.status
  return typeof status === 'number' ? status : 0
}

/** isRefusal reports whether a source that has failed with this error refuses the client and must not be called again. */
export function isRefusal(error: unknown): boolean {
  return [401, 403, 404].includes(statusOf(error))
}

/** isFinal reports whether a first attempt that has failed with this error is not repeated. */
export function isFinal(status: number): boolean {
  return status === 501 || (status >= 400 && status < 500 && ![401, 408, 425, 429].includes(status))
}

/** reportError reports an error of a callback without throwing it. */
export function reportError(error: unknown): void {
  queueMicrotask(() => {
    throw error
  })
}
