import { eventIterator, oc, type } from '@orpc/contract'

// Schemas in the common form of validation libraries, as small as can be.
function object(name, isRight) {
  return {
    '~standard': {
      version: 1,
      vendor: 'interop',
      validate: value => isRight(value?.[name])
        ? { value }
        : { issues: [{ message: `${name} is wrong`, path: [name] }] },
    },
  }
}

const isText = value => typeof value === 'string'
const isNumber = value => typeof value === 'number'

/** The procedures over HTTP that have nothing to do with rooms. */
export const contract = {
  echo: oc.input(type()),
  fail: oc.input(object('kind', isText)).errors({
    TEAPOT: { status: 418, message: 'I am a teapot', data: object('kind', isText) },
  }),
  readable: oc.route({ method: 'GET' }).input(type()),
  nested: { ping: oc },
  lastEventId: oc,
  sendMessage: oc.input(object('message', isText)),
  count: oc.input(object('to', isNumber)),
  collect: oc.input(eventIterator(type(), type())),
  twice: oc.input(eventIterator(type(), type())),
  upload: oc.input(object('file', value => value instanceof File)),
  download: oc,
}
