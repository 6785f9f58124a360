// The smallest store that useSyncExternalStore takes.
export type Store<T> = { get: () => T; set: (patch: Partial<T>) => void; subscribe: (fn: () => void) => () => void }

export function store<T extends object>(first: T): Store<T> {
  let value = first
  const listeners = new Set<() => void>()
  return {
    get: () => value,
    set: (patch) => {
      value = { ...value, ...patch }
      for (const fn of listeners) fn()
    },
    subscribe: (fn) => {
      listeners.add(fn)
      return () => void listeners.delete(fn)
    },
  }
}
