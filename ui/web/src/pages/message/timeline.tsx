// The waterfall with its scale switch, what its marks mean, and what else happened.
import { useCallback } from 'react'
import type { MessageLife } from '../../api/types'
import { useKeys } from '../../app/keys'
import { useNow } from '../../app/live'
import { usePrefs } from '../../app/prefs'
import { useUrl } from '../../app/url'
import { Waterfall } from '../../charts/waterfall'
import { useT } from '../../i18n'
import { duration } from '../../lib/format'
import { steps, type Model } from '../../lib/waterfall/model'
import type { Mode } from '../../lib/waterfall/scale'
import { Choice } from '../../parts/filters'
import { HappeningLine, worthTelling } from '../overview/lists'
import { sentence } from './words'

const modes: Mode[] = ['linear', 'log', 'fold']

export function Timeline({ life, model }: { life: MessageLife; model: Model }) {
  const t = useT()
  const { zone } = usePrefs()
  const [params, set] = useUrl()
  const mode = modes.find((m) => m === params.scale) ?? 'fold'
  const now = useNow() // the clock of the verdicts above
  const note = useCallback(
    (lane: string) => {
      const v = model.lanes.find((l) => l.id === lane)?.verdict
      return v ? sentence(v, t, zone, now) : ''
    },
    [model, t, zone, now],
  )
  const go = (step: number) => {
    const all = steps(model)
    const at = all.findIndex((i) => i.id === params.event)
    const next = all[at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.max(0, Math.min(all.length - 1, at + step))]
    if (next) set({ event: next.id })
  }
  useKeys({ n: () => go(1), p: () => go(-1), j: () => go(1), k: () => go(-1) })
  return (
    <>
      <div className="legend">
        <span>{t.life.legend}</span>
        {model.skew > 0 && <span className="warn">! {t.life.skew(duration(model.skew))}</span>}
        <span className="grow" />
        <Choice name="scale" label={t.life.scale.label} standard="fold" options={modes.map((m) => ({ id: m, label: t.life.scale[m] }))} />
      </div>
      <Waterfall model={model} mode={mode} note={note} picked={params.event} pick={(id) => set({ event: id === params.event ? undefined : id })} />
      <section className="pad" style={{ borderTop: '1px solid var(--line)', paddingTop: 12 }}>
        <h2>{t.life.overlay}</h2>
        {life.life.happenings.length === 0 ? <p className="dim" style={{ fontSize: 13, margin: '4px 0' }}>{t.life.overlayNone}</p> : null}
        {life.leadersReason && <p className="bad">✕ {t.life.leadersFailed}: {life.leadersReason}</p>}
        <ul className="list">
          {life.life.happenings.filter(worthTelling).map((h, i) => (
            <HappeningLine key={i} h={h} />
          ))}
        </ul>
      </section>
    </>
  )
}
