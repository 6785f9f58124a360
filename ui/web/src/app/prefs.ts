// What belongs to the person and not to the address: language, zone, width of the rail. Kept in this browser.
import { useSyncExternalStore } from 'react'
import type { Zone } from '../lib/time'
import { store } from './store'

export type Prefs = { language: 'en' | 'zh'; zone: Zone; wide: boolean }

const where = 'contrail.prefs'

function first(): Prefs {
  const language = globalThis.navigator?.language?.toLowerCase().startsWith('zh') ? 'zh' : 'en'
  const standard: Prefs = { language, zone: 'local', wide: false }
  try {
    return { ...standard, ...(JSON.parse(localStorage.getItem(where) ?? '{}') as Partial<Prefs>) }
  } catch {
    return standard
  }
}

export const prefs = store<Prefs>(first())

prefs.subscribe(() => {
  try {
    localStorage.setItem(where, JSON.stringify(prefs.get()))
  } catch {
    // a browser that keeps nothing still works
  }
})

export const usePrefs = () => useSyncExternalStore(prefs.subscribe, prefs.get)
export const useZone = () => usePrefs().zone
