/** What happens to a page that matters to its connections. */
export interface PageEvents {
  /** The network or the page is back: do not wait, and do not trust the connection. */
  onBack: () => void
  /** The network is gone. */
  onOffline: () => void
  /** The page is put away, perhaps for good. Its scripts no longer run, but its sockets would stay open. */
  onHidden: () => void
}

/** watchPage calls `events` until the signal fires. Outside of browsers nothing happens. */
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
