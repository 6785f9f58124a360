// Four charts with one range and one cross-hair. Up to 15 minutes from the broker's own samples, longer from the trail.
import { useMemo } from 'react'
import { useRates } from '../../api/queries'
import type { Overview } from '../../api/types'
import { useLive, useNow } from '../../app/live'
import { useRange } from '../../app/url'
import { LineChart, type Line } from '../../charts/line'
import { useT } from '../../i18n'
import { bytes, compact, count, duration, rate } from '../../lib/format'
import { resolve, stepFor } from '../../lib/range'
import { fromPoints, fromRates } from '../../lib/series'

const quarter = 15 * 60e3

export function Charts({ overview }: { overview: Overview }) {
  const t = useT()
  const live = useLive()
  const at = useNow(1000)
  const { range, setRange } = useRange()
  const { from, to } = resolve(range, at)
  const short = to - from <= quarter + 1000 && from >= at - quarter - 60e3
  const step = stepFor(to - from, 240)
  const rates = useRates({ from, to, step })
  const points = useMemo(() => fromPoints(overview.series, live.points, from, to), [overview.series, live.points, from, to])
  const trail = useMemo(() => fromRates(rates.data?.rates ?? [], from, to, step, live.trail ? live.trail.shippedToMicros / 1000 : to), [rates.data, from, to, step, live.trail])

  const lines = useMemo(() => linesOf(t), [t])
  const flow = short ? points : { x: trail.x, lines: { in: trail.lines.store, out: trail.lines.deliver, bytesIn: trail.lines.storeBytes, bytesOut: trail.lines.deliverBytes, lag: [] } }
  const shared = { from, to, onRange: (a: number, b: number) => setRange({ from: a, to: b }) }
  const noLatency = trail.lines.deliverP99.every((v) => v === null) && trail.lines.storeP99.every((v) => v === null)
  return (
    <div className="grid2" data-test="charts">
      <LineChart {...shared} title={t.overview.rates} x={flow.x} lines={lines.flow} values={flow.lines} format={rateOf} />
      <LineChart {...shared} title={t.overview.backlog} x={points.x} lines={lines.lag} values={points.lines} format={countOf} missing={short ? undefined : t.overview.backlogShort} />
      <LineChart {...shared} title={t.overview.latency} note={t.overview.latencyNote} x={trail.x} lines={lines.latency} values={trail.lines} log format={duration} missing={noLatency && !rates.isFetching ? t.overview.noLatency : undefined} />
      <LineChart {...shared} title={t.overview.bytes} x={flow.x} lines={lines.bytes} values={flow.lines} format={bytes} />
    </div>
  )
}

const rateOf = (v: number) => (v >= 100_000 ? compact(v) : rate(v))
const countOf = (v: number) => (v >= 1_000_000 ? compact(v) : count(v))

function linesOf(t: ReturnType<typeof useT>): Record<'flow' | 'lag' | 'latency' | 'bytes', Line[]> {
  return {
    flow: [
      { id: 'in', label: t.overview.in, color: '--send', fill: true },
      { id: 'out', label: t.overview.out, color: '--work' },
    ],
    lag: [{ id: 'lag', label: t.overview.backlogUnit, color: '--warn', fill: true }],
    latency: [
      { id: 'storeP99', label: t.overview.store, color: '--own' },
      { id: 'deliverP99', label: t.overview.handed, color: '--h1' },
      { id: 'processP99', label: t.overview.processed, color: '--work', dash: [5, 3] },
    ],
    bytes: [
      { id: 'bytesIn', label: t.overview.in, color: '--send', fill: true },
      { id: 'bytesOut', label: t.overview.out, color: '--work' },
    ],
  }
}
