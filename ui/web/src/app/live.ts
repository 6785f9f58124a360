// One SSE stream for the whole page. Pausing closes it and stops every automatic refresh.
import { useCallback, useSyncExternalStore } from 'react'
import { path } from '../api/client'
import type { Point, Tick, TrailStatus } from '../api/types'
import { store } from './store'

export type LiveState = {
  status: 'connecting' | 'live' | 'paused' | 'broken'
  points: Point[] // since the page was opened, at most an hour
  trail?: TrailStatus
  stopped: string
  skew: number // broker's clock minus this browser's, ms
}

const keep = 3600
const again = 3000

export const live = store<LiveState>({ status: 'connecting', points: [], stopped: '', skew: 0 })
let source: EventSource | undefined
let timer: ReturnType<typeof setTimeout> | undefined

export function resume() {
  clearTimeout(timer)
  source?.close()
  if (live.get().status !== 'broken') live.set({ status: 'connecting' })
  source = new EventSource(path('/live'))
  source.onmessage = take
  source.addEventListener('tick', take)
  source.onerror = () => {
    if (live.get().status === 'paused') return
    live.set({ status: 'broken' })
    if (source?.readyState === EventSource.CLOSED) timer = setTimeout(resume, again)
  }
}

export function pause() {
  clearTimeout(timer)
  source?.close()
  live.set({ status: 'paused' })
}

export const toggle = () => (live.get().status === 'paused' ? resume() : pause())

function take(e: MessageEvent<string>) {
  const tick = JSON.parse(e.data) as Tick
  const points = live.get().points
  const fresh = points.length && points[points.length - 1].at >= tick.point.at ? points : [...points.slice(-keep), tick.point]
  live.set({ status: 'live', points: fresh, trail: tick.trail, stopped: tick.stopped, skew: tick.point.at - Date.now() })
}

export const useLive = () => useSyncExternalStore(live.subscribe, live.get)
export const useLiveStatus = () => useSyncExternalStore(live.subscribe, () => live.get().status)

/** Now by the broker's clock, ms. */
export const now = () => Date.now() + live.get().skew

/** A moment of this browser's clock by the broker's. */
export const ofBroker = (ms: number) => ms + live.get().skew

type Clock = { at: number; listeners: Set<() => void>; timer?: ReturnType<typeof setInterval> }
const clocks = new Map<number, Clock>()

/** One timer for all that show an age. */
function clockOf(every: number): Clock {
  let c = clocks.get(every)
  if (!c) clocks.set(every, (c = { at: now(), listeners: new Set() }))
  return c
}

function listen(every: number, fn: () => void): () => void {
  const c = clockOf(every)
  c.listeners.add(fn)
  c.timer ??= setInterval(() => {
    if (live.get().status === 'paused') return
    c.at = now()
    for (const f of c.listeners) f()
  }, every)
  return () => {
    c.listeners.delete(fn)
    if (c.listeners.size === 0) c.timer = void clearInterval(c.timer)
  }
}

/** The broker's now, renewed while updates are live. */
export function useNow(every = 1000): number {
  const subscribe = useCallback((fn: () => void) => listen(every, fn), [every])
  return useSyncExternalStore(subscribe, () => {
    const c = clockOf(every)
    if (!c.timer && live.get().status !== 'paused' && Math.abs(now() - c.at) > every) c.at = now()
    return c.at
  })
}

/** Interval for a query: none while paused. */
export function useEvery(ms: number): number | false {
  return useLiveStatus() === 'paused' ? false : ms
}
