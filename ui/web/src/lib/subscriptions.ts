// Who of a group subscribes to what: topics by members, and the cells that differ. Pure.
import type { Group, Subscription } from '../api/types'

export type Cell = { text: string; differs: boolean }
export type Matrix = { members: string[]; rows: { topic: string; usual: string; cells: Cell[] }[] }

export const print = (s: Subscription | undefined) => (s ? (s.type === 'TAG' ? s.expression || '*' : `${s.type}: ${s.expression}`) : '')

export function matrix(g: Group): Matrix {
  const topics = [...new Set(g.members.flatMap((m) => (m.subscriptions ?? []).map((s) => s.topic)))].sort()
  const rows = topics.map((topic) => {
    const texts = g.members.map((m) => print(m.subscriptions?.find((s) => s.topic === topic)))
    const usual = most(texts)
    return { topic, usual, cells: texts.map((text) => ({ text, differs: text !== usual })) }
  })
  return { members: g.members.map((m) => m.clientId), rows }
}

function most(texts: string[]): string {
  const counts = new Map<string, number>()
  for (const s of texts) counts.set(s, (counts.get(s) ?? 0) + 1)
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0] ?? ''
}
