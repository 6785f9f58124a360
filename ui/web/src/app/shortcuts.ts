// The keyboard, everywhere (the list is in help.tsx).
import { useQueryClient } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { useT } from '../i18n'
import { shift, zoom } from '../lib/range'
import { useKeys } from './keys'
import { now, toggle } from './live'
import { prefs } from './prefs'
import { copy } from './say'
import { carried, fixedLink, useRange, type UrlParams } from './url'

/** Pages that answer once (a search) listen to this to ask again. */
export const refreshEvent = 'contrail:refresh'

export function useRefresh() {
  const client = useQueryClient()
  return () => {
    void client.invalidateQueries()
    window.dispatchEvent(new Event(refreshEvent))
  }
}

export function useShortcuts() {
  const t = useT()
  const navigate = useNavigate()
  const search = useSearch({ strict: false }) as UrlParams
  const { range, setRange } = useRange()
  const refresh = useRefresh()
  const go = (to: string) => () => void navigate({ to: to as never, search: carried(search) as never })
  useKeys({
    '/': () => document.getElementById('find')?.focus(),
    'g o': go('/'),
    'g m': go('/messages'),
    'g s': go('/scheduled'),
    'g x': go('/transactions'),
    'g d': go('/dlq'),
    'g t': go('/topics'),
    'g c': go('/groups'),
    'g p': go('/clients'),
    '[': () => setRange(shift(range, -1, now())),
    ']': () => setRange(shift(range, 1, now())),
    '-': () => setRange(zoom(range, 2, now())),
    '=': () => setRange(zoom(range, 0.5, now())),
    r: refresh,
    R: toggle,
    y: () => void copy(location.href, t.copied),
    Y: () => void copy(fixedLink(range), t.copied),
    u: () => prefs.set({ zone: prefs.get().zone === 'utc' ? 'local' : 'utc' }),
  })
}
