// The frame: rail, the only bar, the page.
import { useRouterState } from '@tanstack/react-router'
import { useEffect, useRef, useState, type ReactNode } from 'react'
import { useOverview } from '../api/queries'
import { useT } from '../i18n'
import { Brand, Icon, type IconName } from '../parts/icons'
import { Go } from '../parts/small'
import { Bar } from './bar'
import { Help } from './help'
import { useKeys } from './keys'
import { Palette } from './palette'
import { prefs, usePrefs } from './prefs'
import { useSaid } from './say'
import { useShortcuts } from './shortcuts'

export function Shell({ children }: { children: ReactNode }) {
  const t = useT()
  const { wide, language } = usePrefs()
  const main = useRef<HTMLElement>(null)
  const [over, setOver] = useState<'palette' | 'help' | undefined>()
  const said = useSaid()
  const pathname = useRouterState({ select: (s) => s.location.pathname })
  useShortcuts()
  useKeys({ 'mod+k': () => setOver('palette'), '?': () => setOver('help') })
  useEffect(() => {
    document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en'
  }, [language])
  useEffect(() => {
    main.current?.scrollTo(0, 0)
  }, [pathname])
  return (
    <div className={wide ? 'frame wide' : 'frame'}>
      <a className="skip" href="#main" onClick={(e) => (e.preventDefault(), main.current?.focus())}>
        {t.skip}
      </a>
      <Rail />
      <Bar help={() => setOver('help')} />
      <main id="main" ref={main} tabIndex={-1}>
        {children}
      </main>
      {over === 'palette' && <Palette close={() => setOver(undefined)} />}
      {over === 'help' && <Help close={() => setOver(undefined)} />}
      <div className="toast" role="status">{said}</div>
    </div>
  )
}

const entries: { name: IconName & ('overview' | 'messages' | 'scheduled' | 'transactions' | 'dead' | 'topics' | 'groups' | 'clients'); to: string }[] = [
  { name: 'overview', to: '/' },
  { name: 'messages', to: '/messages' },
  { name: 'scheduled', to: '/scheduled' },
  { name: 'transactions', to: '/transactions' },
  { name: 'dead', to: '/dlq' },
  { name: 'topics', to: '/topics' },
  { name: 'groups', to: '/groups' },
  { name: 'clients', to: '/clients' },
]

function Rail() {
  const t = useT()
  const { wide } = usePrefs()
  const attention = useOverview().data?.worst.filter((g) => (!g.online && g.lagMessages > 0) || !g.subscriptionsConsistent).length ?? 0
  return (
    <nav className="railbox" aria-label={t.rail}>
      <div className="brand">
        <Brand />
        {wide && <b>Contrail</b>}
      </div>
      {entries.map((e) => (
        <Go key={e.name} to={e.to} exact={e.to === "/"}>
          <Icon name={e.name} />
          <span>{t.pages[e.name]}</span>
          {e.name === 'groups' && attention > 0 && (
            <span className="attn" role="img" aria-label={t.needsAttention(attention)} title={t.needsAttention(attention)}>
              {attention}
            </span>
          )}
        </Go>
      ))}
      <span className="grow" />
      <button type="button" className="railact" onClick={() => prefs.set({ wide: !wide })} aria-label={wide ? t.narrow : t.widen} title={wide ? t.narrow : t.widen}>
        <Icon name={wide ? 'narrow' : 'wide'} size={16} />
        {wide && <span>{t.narrow}</span>}
      </button>
    </nav>
  )
}
