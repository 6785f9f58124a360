// Ctrl+K: go to, run.
import { Modal, useMantineColorScheme } from '@mantine/core'
import { useNavigate } from '@tanstack/react-router'
import { useId, useState } from 'react'
import { useT } from '../i18n'
import { guess } from '../lib/ids'
import { toggle } from './live'
import { prefs, useZone } from './prefs'
import { copy } from './say'
import { tell, useGoTo, useNames } from './search'
import { useRefresh } from './shortcuts'
import { carried, fixedLink, useRange, useUrl } from './url'

type Act = { words: string; hint: string; run: () => void }

function useActs(): Act[] {
  const t = useT()
  const navigate = useNavigate()
  const [params] = useUrl()
  const { range } = useRange()
  const refresh = useRefresh()
  const { setColorScheme } = useMantineColorScheme()
  const go = (words: string, to: string, hint: string): Act => ({ words: t.palette.goTo(words), hint, run: () => void navigate({ to: to as never, search: carried(params) as never }) })
  return [
    go(t.pages.overview, '/', 'g o'),
    go(t.pages.messages, '/messages', 'g m'),
    go(t.pages.scheduled, '/scheduled', 'g s'),
    go(t.pages.transactions, '/transactions', 'g x'),
    go(t.pages.dead, '/dlq', 'g d'),
    go(t.pages.topics, '/topics', 'g t'),
    go(t.groupsLong, '/groups', 'g c'),
    go(t.pages.clients, '/clients', 'g p'),
    { words: t.refresh, hint: 'r', run: refresh },
    { words: t.palette.toggleLive, hint: 'R', run: toggle },
    { words: t.palette.toggleZone, hint: 'u', run: () => prefs.set({ zone: prefs.get().zone === 'utc' ? 'local' : 'utc' }) },
    { words: t.range.copyLink, hint: 'y', run: () => void copy(location.href, t.copied) },
    { words: t.range.fixLink, hint: 'Y', run: () => void copy(fixedLink(range), t.copied) },
    { words: t.palette.light, hint: '', run: () => setColorScheme('light') },
    { words: t.palette.dark, hint: '', run: () => setColorScheme('dark') },
    { words: t.palette.auto, hint: '', run: () => setColorScheme('auto') },
    { words: t.palette.english, hint: '', run: () => prefs.set({ language: 'en' }) },
    { words: t.palette.chinese, hint: '', run: () => prefs.set({ language: 'zh' }) },
  ]
}

function useFound(text: string): Act[] {
  const t = useT()
  const zone = useZone()
  const names = useNames(true)
  const goTo = useGoTo()
  const low = text.trim().toLowerCase()
  const acts = useActs().filter((a) => a.words.toLowerCase().includes(low))
  if (!low) return acts
  const things = guess(text, names).map((g) => {
    const { text: words, hint } = tell(g, t, zone)
    return { words, hint, run: () => goTo(g) }
  })
  return [...acts, ...things]
}

export function Palette({ close }: { close: () => void }) {
  const t = useT()
  const id = useId()
  const [text, setText] = useState('')
  const [at, setAt] = useState(0)
  const found = useFound(text)
  const run = (a: Act | undefined) => {
    if (!a) return
    close()
    a.run()
  }
  const key = (e: React.KeyboardEvent) => {
    if (e.key === 'ArrowDown') setAt((at + 1) % found.length)
    else if (e.key === 'ArrowUp') setAt((at - 1 + found.length) % found.length)
    else if (e.key === 'Enter' && !e.nativeEvent.isComposing) run(found[at])
    else return
    e.preventDefault()
  }
  return (
    <Modal opened onClose={close} withCloseButton={false} title={null} size={560} padding={8} yOffset="12vh" transitionProps={{ duration: 0 }} aria-label={t.palette.title}>
      <input
        className="input big" data-autofocus value={text} placeholder={t.palette.placeholder} aria-label={t.palette.title} role="combobox" aria-expanded="true" aria-controls={id}
        aria-activedescendant={`${id}${at}`} onChange={(e) => (setText(e.target.value), setAt(0))} onKeyDown={key}
      />
      <div role="listbox" id={id} aria-label={t.palette.title} style={{ marginTop: 6, maxHeight: 420, overflow: 'auto' }}>
        {found.map((a, i) => (
          <div key={i} id={`${id}${i}`} role="option" aria-selected={i === at} className="opt" onClick={() => run(a)} onMouseMove={() => setAt(i)}>
            <span className="cut">{a.words}</span>
            <span className="hint">{a.hint}</span>
          </div>
        ))}
        {found.length === 0 && <div className="opt dim">{t.palette.nothing}</div>}
      </div>
    </Modal>
  )
}
