import type { CallOptions } from './call.js'

/** A method of a room. */
export type Method<In = any, Out = any> = (...args: undefined extends In ? [input?: In, options?: CallOptions] : [input: In, options?: CallOptions]) => Promise<Out>

/** The methods of a room, by name, perhaps in groups. */
export interface Methods { [name: string]: Method | Methods | any }

export type CallFunction = (path: readonly string[], input: unknown, options?: CallOptions) => Promise<unknown>

/** methods returns an object whose properties are methods: `m.chat.say(input)` calls the path `['chat', 'say']`. */
export function methods(call: CallFunction, path: readonly string[] = []): any {
  return new Proxy(() => {}, {
    get: (_, name) => typeof name === 'string' && !(path.length === 0 && name === 'then') ? methods(call, [...path, name]) : undefined,
    apply: (_, __, [input, options]: [unknown, CallOptions?]) => path.length === 0
      ? Promise.reject(new TypeError('a room is no method'))
      : call(path, input, options),
  })
}

/**
 * withMethods returns `iterator` with a property for each method that its token allows,
 * like oRPC's own client. The iterator's own properties take precedence; `rpc` has all
 * methods.
 */
export function withMethods<I extends { rpc: any }>(iterator: I, allowed: () => readonly string[] | undefined): I {
  return new Proxy(iterator, {
    get(target, name) {
      if (name in target || typeof name !== 'string') {
        const own = Reflect.get(target, name, target) as unknown
        return typeof own === 'function' && name !== 'rpc' ? own.bind(target) : own
      }
      return name !== 'then' && allowed()?.includes(name) ? target.rpc[name] as unknown : undefined
    },
  })
}
