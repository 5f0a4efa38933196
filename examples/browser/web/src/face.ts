/** face returns a coloured disc with the initial of a name: the same colour for the same name. */
export function face(name: string): HTMLElement {
  const disc = document.createElement('span')
  disc.className = 'face'
  disc.ariaHidden = 'true'
  disc.textContent = (Array.from(name)[0] ?? '?').toUpperCase()
  disc.style.setProperty('--hue', String(hue(name)))
  return disc
}

function hue(name: string): number {
  let sum = 0
  for (const character of name) {
    sum = (sum * 31 + character.codePointAt(0)!) % 360
  }
  return (sum * 137) % 360
}
