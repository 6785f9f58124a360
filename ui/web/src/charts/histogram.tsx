// Bars over the range; a drag narrows it.
import { useEffect, useRef, useState } from 'react'
import type { Bar } from '../lib/buckets'
import { useT } from '../i18n'
import { useZone } from '../app/prefs'
import { count } from '../lib/format'
import { clock, stamp } from '../lib/time'
import { now } from '../app/live'

type Props = { bars: Bar[]; dim: boolean; onRange?: (from: number, to: number) => void; label?: string }
const height = 56

export function Histogram({ bars, dim, onRange, label }: Props) {
  const t = useT()
  const about = label ?? t.messages.histogram
  const zone = useZone()
  const box = useRef<HTMLDivElement>(null)
  const [width, setWidth] = useState(0)
  const [hover, setHover] = useState(-1)
  const [drag, setDrag] = useState<[number, number] | undefined>()
  useEffect(() => {
    const watch = new ResizeObserver(([e]) => setWidth(e.contentRect.width))
    watch.observe(box.current!)
    return () => watch.disconnect()
  }, [])
  const top = Math.max(1, ...bars.map((b) => b.count))
  const w = width / Math.max(1, bars.length)
  const xOf = (e: React.PointerEvent) => Math.max(0, Math.min(width, e.clientX - box.current!.getBoundingClientRect().left))
  const timeOf = (x: number) => bars[0].from + (x / Math.max(1, width)) * (bars[bars.length - 1].to - bars[0].from)
  const finish = () => {
    if (onRange && drag && Math.abs(drag[1] - drag[0]) > 4) onRange(timeOf(Math.min(...drag)) / 1000, timeOf(Math.max(...drag)) / 1000)
    setDrag(undefined)
  }
  const at = bars[hover]
  const seconds = bars.length > 1 && bars[1].from - bars[0].from < 60e6 ? 's' : 'min'
  const words = (micros: number) => stamp(micros / 1000, zone, now(), seconds)
  return (
    <div style={{ padding: '0 var(--gutter)' }} data-test="histogram">
      <div
        ref={box}
        style={{ position: 'relative', height, cursor: onRange ? 'crosshair' : 'default', touchAction: 'none', opacity: dim ? 0.5 : 1 }}
        onPointerDown={(e) => onRange && (e.currentTarget.setPointerCapture(e.pointerId), setDrag([xOf(e), xOf(e)]))}
        onPointerMove={(e) => (setHover(Math.floor(xOf(e) / w)), drag && setDrag([drag[0], xOf(e)]))}
        onPointerUp={finish}
        onPointerLeave={() => setHover(-1)}
      >
        <svg width={width} height={height} role="img" aria-label={`${about} ${count(bars.reduce((n, b) => n + b.count, 0))}`}>
          {bars.map((b, i) => {
            const h = b.count ? Math.max(2, (b.count / top) * (height - 4)) : 0
            return <rect key={i} x={i * w + 0.5} y={height - h} width={Math.max(1, w - 1)} height={h} fill={i === hover ? 'var(--link)' : 'var(--send)'} opacity={i === hover ? 1 : 0.65} />
          })}
          <line x1={0} x2={width} y1={height - 0.5} y2={height - 0.5} stroke="var(--line2)" />
          {drag && <rect x={Math.min(...drag)} y={0} width={Math.abs(drag[1] - drag[0])} height={height} fill="var(--link)" opacity={0.18} />}
        </svg>
      </div>
      <div className="row between dim" style={{ fontSize: 11, lineHeight: '18px' }}>
        <span className="mono">{bars.length > 0 && words(bars[0].from)}</span>
        <span>{at ? t.messages.bucket(count(at.count), words(at.from), clock(at.to / 1000, zone, seconds)) : about}</span>
        <span className="mono">{bars.length > 0 && words(bars[bars.length - 1].to)}</span>
      </div>
    </div>
  )
}
