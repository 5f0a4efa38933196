const FIRST_WINDOW = 1_000
const LONGEST_WINDOW = 30_000

/**
 * spread returns the pauses before attempts 1, 2, and so on to connect again, in
 * milliseconds. The time since the loss is divided into windows, each half as long as
 * all windows before it together, from 1 s to 30 s. There is one attempt in each, always
 * at the same point of the window, which is chosen at random for each loss. The clients
 * of a server that was down therefore reconnect evenly spread, within half of the time
 * for which it was down.
 */
export function spread(random: () => number = Math.random): (attempt: number) => number {
  let point = 0
  let start = 0
  let length = 0
  let last = 0
  return (attempt) => {
    if (attempt === 1) {
      point = random()
      start = length = last = 0
    }
    start += length
    length = Math.min(Math.max(start / 2, FIRST_WINDOW), LONGEST_WINDOW)
    const next = start + point * length
    const pause = next - last
    last = next
    return pause
  }
}
