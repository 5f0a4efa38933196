// The store of docs/browsers.md.
import { dial } from '@go-orpc/durable-iterator-client'
import type { State } from '@go-orpc/durable-iterator-client'

export interface Message {
  key: string
  text: string
}

export interface Snapshot {
  state: State
  messages: readonly Message[]
  hasGap: boolean
}

/** roomStore opens the room when somebody looks, and closes it when nobody does. */
export function roomStore(url: string, token: (signal: AbortSignal) => Promise<string>) {
  let snapshot: Snapshot = { state: 'connecting', messages: [], hasGap: false }
  const listeners = new Set<() => void>()
  let open: AbortController | undefined

  const set = (change: Partial<Snapshot>) => {
    snapshot = { ...snapshot, ...change } // a new object each time: that is how React sees a change
    listeners.forEach(listener => listener())
  }

  const listen = async (signal: AbortSignal) => {
    set({ messages: [], hasGap: false })
    const room = await dial<Message>({
      url, token, signal,
      lastEventId: '0',
      onState: state => signal.aborted || set({ state }),
      onGap: () => set({ hasGap: true }),
    })
    for await (const message of room) {
      set({ messages: [...snapshot.messages, message] })
    }
  }

  return {
    getSnapshot: () => snapshot,
    subscribe: (listener: () => void) => {
      listeners.add(listener)
      if (!open) {
        const { signal } = open = new AbortController()
        listen(signal).catch(() => signal.aborted || set({ state: 'closed' })) // refused, or there is no token
      }
      return () => {
        listeners.delete(listener)
        if (listeners.size === 0) {
          open?.abort()
          open = undefined
        }
      }
    },
  }
}
