// A search that answers in parts. Old rows stay until the first new ones are here.
import { useCallback, useEffect, useReducer, useRef } from 'react'
import { stream, type Params } from '../../api/client'
import type { Matches, Message, Progress } from '../../api/types'
import { now } from '../../app/live'
import { refreshEvent } from '../../app/shortcuts'

export type Found = {
  state: 'idle' | 'running' | 'older' | 'done' | 'stopped' | 'broken'
  messages: Message[]
  fresh: boolean // messages belong to the query that runs
  done?: Matches
  scannedTo?: number
  error?: unknown
  at: number // when it was asked, ms
  from: number
  to: number
}

type Act =
  | { kind: 'start'; from: number; to: number; older: boolean }
  | { kind: 'line'; line: Progress }
  | { kind: 'end' }
  | { kind: 'stop' }
  | { kind: 'broken'; error: unknown }
  | { kind: 'clear' }

const idle: Found = { state: 'idle', messages: [], fresh: true, at: 0, from: 0, to: 0 }
export const keyOf = (m: Message) => `${m.position}.${m.queueId}.${m.queueOffset}.${m.topic}`

export function reduce(s: Found, a: Act): Found {
  switch (a.kind) {
    case 'clear':
      return idle
    case 'start':
      if (a.older) return { ...s, state: 'older' }
      return { ...s, state: 'running', fresh: false, done: undefined, error: undefined, scannedTo: undefined, at: now(), from: a.from, to: a.to }
    case 'line':
      return take(s, a.line)
    case 'end':
      return s.done ? { ...s, state: 'done' } : { ...s, state: 'stopped' }
    case 'stop':
      return { ...s, state: 'stopped', fresh: true, messages: s.fresh ? s.messages : [] }
    case 'broken':
      return { ...s, state: 'broken', error: a.error, fresh: true, messages: s.fresh ? s.messages : [] }
  }
}

function take(s: Found, line: Progress): Found {
  if (line.scannedToMicros) return { ...s, scannedTo: line.scannedToMicros }
  const more = line.done ? line.done.messages : (line.messages ?? [])
  const kept = s.fresh ? s.messages : []
  const seen = new Set(kept.map(keyOf))
  const added = more.filter((m) => !seen.has(keyOf(m)))
  const messages = added.length ? [...kept, ...added] : kept
  return { ...s, fresh: true, messages, done: line.done ?? s.done }
}

export const pageSize = 1000

export function useSearchStream(params: Params | undefined, window: () => { from: number; to: number }) {
  const [found, act] = useReducer(reduce, idle)
  const running = useRef<AbortController | undefined>(undefined)
  const key = params ? JSON.stringify(params) : ''
  const next = found.done?.next

  const ask = useCallback(
    (older: { before: string; from: number; to: number } | undefined) => {
      running.current?.abort()
      if (!key) return act({ kind: 'clear' })
      const control = (running.current = new AbortController())
      const { from, to } = older ?? window()
      act({ kind: 'start', from, to, older: !!older })
      const query = { ...(JSON.parse(key) as Params), from: Math.round(from * 1000), to: Math.round(to * 1000), limit: pageSize, before: older?.before }
      stream<Progress>('/messages/stream', query, (line) => !control.signal.aborted && act({ kind: 'line', line }), control.signal)
        .then(() => !control.signal.aborted && act({ kind: 'end' }))
        .catch((error: unknown) => !control.signal.aborted && act({ kind: 'broken', error }))
    },
    [key, window],
  )
  useEffect(() => {
    const again = () => ask(undefined)
    again()
    window_.addEventListener(refreshEvent, again)
    return () => {
      window_.removeEventListener(refreshEvent, again)
      running.current?.abort()
    }
  }, [ask])
  const stop = useCallback(() => {
    running.current?.abort()
    act({ kind: 'stop' })
  }, [])
  const older = useCallback(() => {
    if (next && found.state === 'done') ask({ before: next, from: found.from, to: found.to })
  }, [ask, next, found.state, found.from, found.to])
  const again = useCallback(() => ask(undefined), [ask])
  return { found, stop, older, again }
}

const window_ = globalThis.window
