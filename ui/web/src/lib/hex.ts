// A hex dump: offset, 16 bytes, what they are in ASCII. Pure.
export function dump(hex: string): string {
  const lines: string[] = []
  for (let at = 0; at < hex.length; at += 32) {
    const bytes = hex.slice(at, at + 32).match(/../g) ?? []
    const left = bytes.slice(0, 8).join(' ').padEnd(23)
    const right = bytes.slice(8).join(' ').padEnd(23)
    const text = bytes.map((b) => printable(parseInt(b, 16))).join('')
    lines.push(`${(at / 2).toString(16).padStart(8, '0')}  ${left}  ${right}  ${text}`)
  }
  return lines.join('\n')
}

const printable = (b: number) => (b >= 0x20 && b < 0x7f ? String.fromCharCode(b) : '·')
