/** The changes of a page that affect its connections. */
export interface PageEvents {
  /** The network or the page is back: connect at once, and check an open connection. */
  onBack: () => void
  /** The network is not reachable. */
  onOffline: () => void
  /** The page is put away, perhaps for good. Its scripts will not run, but its sockets would stay open. */
  onHidden: () => void
}

/** watchPage calls `events` until the signal fires. Outside of browsers it does nothing. */
export function watchPage(events: PageEvents, signal: AbortSignal): void {
  const on = (target: EventTarget | undefined, name: string, listener: () => void): void => {
    target?.addEventListener?.(name, listener, { signal })
  }
  const page = globalThis as unknown as EventTarget & { document?: Document }
  on(page, 'online', events.onBack)
  on(page, 'pageshow', events.onBack)
  on(page, 'offline', events.onOffline)
  on(page, 'pagehide', events.onHidden)
  on(page.document, 'freeze', events.onHidden)
  on(page.document, 'resume', events.onBack)
  on(page.document, 'visibilitychange', () => page.document?.visibilityState === 'visible' && events.onBack())
}
