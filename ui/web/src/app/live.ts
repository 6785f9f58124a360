// One SSE stream for the whole page. Pausing closes it and stops every automatic refresh.
import { useEffect, useState, useSyncExternalStore } from 'react'
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

/** The broker's now, renewed while updates are live. */
export function useNow(every = 1000): number {
  const status = useLiveStatus()
  const [at, setAt] = useState(now)
  useEffect(() => {
    if (status === 'paused') return
    const id = setInterval(() => setAt(now()), every)
    return () => clearInterval(id)
  }, [status, every])
  return at
}

/** Interval for a query: none while paused. */
export function useEvery(ms: number): number | false {
  return useLiveStatus() === 'paused' ? false : ms
}
