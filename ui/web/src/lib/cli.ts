// The same act as a command line and as an API call, to copy. Pure but for the page's own address.
const quote = (s: string) => (/^[\w./:@%+,=-]+$/.test(s) ? s : "'" + s.replaceAll("'", `'\\''`) + "'")

export function apiCall(path: string, origin: string): string {
  return `curl -sS ${quote(origin + path)}`
}

export function cli(words: string[], flags: Record<string, string | undefined>, origin: string): string {
  const parts = ['contrail', ...words.map(quote)]
  for (const [k, v] of Object.entries(flags)) if (v) parts.push(`--${k} ${quote(v)}`)
  return [...parts, `--server ${quote(origin)}`].join(' ')
}
