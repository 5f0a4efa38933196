/** face returns a coloured disc with the initial of a name: the same colour for the same name. */
export function face(name: string): HTMLElement {
  const disc = document.createElement('span')
  disc.className = 'face'
  disc.ariaHidden = 'true'
  disc.textContent = (Array.from(name)[0] ?? '?').toUpperCase()
  disc.style.setProperty('--hue', String(hue(name)))
  return disc
}

/** hue spreads names over the circle of colours, even similar ones. */
function hue(name: string): number {
  let hash = 7
  for (const character of name) {
    hash = Math.imul(hash ^ character.codePointAt(0)!, 0x9E3779B1)
    hash ^= hash >>> 15
  }
  return (hash >>> 0) % 360
}
