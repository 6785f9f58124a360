// Both languages are whole: zh is typed as en's shape, so that a missing key does not compile.
import { useSyncExternalStore } from 'react'
import { prefs } from '../app/prefs'
import { en } from './en'
import { zh } from './zh'

export type Dictionary = typeof en
export type Language = 'en' | 'zh'

const dictionaries: Record<Language, Dictionary> = { en, zh }

export function useT(): Dictionary {
  return dictionaries[useSyncExternalStore(prefs.subscribe, () => prefs.get().language)]
}
