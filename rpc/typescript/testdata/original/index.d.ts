// What a module needs of oRPC's package for durable iterators, which is not on npm: the type
// of an object, from which the type of its events is inferred.

export interface DurableIteratorObject<Event extends object> {
  '~orpc'?: { '~eventPayloadType'?: { type: Event } }
}
