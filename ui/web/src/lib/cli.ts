// The same act as a command line and as an API call, to copy. Pure but for the page's own address.
const quote = (s: string) => (/^[\w./:@%+,=-]+$/.test(s) ? s : "'" + s.replaceAll("'", `'\\''`) + "'")

export function apiCall(path: string, origin: string): string {
  return `curl -sS ${quote(origin + path)}`
}

/** An act as an API call. */
export function apiPost(path: string, body: unknown, origin: string): string {
  return `curl -sS -H 'Content-Type: application/json' -d ${quote(JSON.stringify(body))} ${quote(origin + path)}`
}

/** A command that asks a broker, not a console. */
export function brokerCli(words: string[], broker: string): string {
  return ['contrail', ...words.map(quote), '--broker', quote(broker)].join(' ')
}

/** What cancels a scheduled message: the handle that its send was answered with. Due is in µs. */
export function recallHandle(topic: string, broker: string, due: number, id: string): string {
  const bytes = new TextEncoder().encode(`v1 ${topic} ${broker} ${Math.floor(due / 1000)} ${id}`)
  return btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_')
}

export function cli(words: string[], flags: Record<string, string | undefined>, origin: string): string {
  const parts = ['contrail', ...words.map(quote)]
  for (const [k, v] of Object.entries(flags)) if (v) parts.push(`--${k} ${quote(v)}`)
  return [...parts, `--server ${quote(origin)}`].join(' ')
}
