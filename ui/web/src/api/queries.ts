// One query per endpoint. Old content stays while new loads.
import { keepPreviousData, queryOptions, useQuery } from '@tanstack/react-query'
import { useEvery } from '../app/live'
import { acted, get } from './client'
import type { Body, Client, ClientDetail, Group, Happening, Matches, MessageLife, Overview, Rate, Topic } from './types'

const listEvery = 5000

export const overviewQuery = queryOptions({ queryKey: ['overview'], queryFn: ({ signal }) => get<Overview>('/overview', {}, signal) })
// comparing 10 000 rows to the old ones costs more than drawing the forty that are seen
export const topicsQuery = queryOptions({ queryKey: ['topics'], structuralSharing: false, queryFn: ({ signal }) => get<{ topics: Topic[] }>('/topics', {}, signal) })
export const groupsQuery = queryOptions({ queryKey: ['groups'], structuralSharing: false, queryFn: ({ signal }) => get<{ groups: Group[] }>('/groups', {}, signal) })
export const clientsQuery = queryOptions({ queryKey: ['clients'], structuralSharing: false, queryFn: ({ signal }) => get<{ clients: Client[] }>('/clients', {}, signal) })

export const useOverview = () => useQuery({ ...overviewQuery, refetchInterval: useEvery(listEvery) })
/** The second answer comes soon: rates need two. */
const paced = (every: number | false) => (q: { state: { dataUpdateCount: number } }) => (every && q.state.dataUpdateCount < 2 ? 1500 : every)

export const useTopics = () => useQuery({ ...topicsQuery, refetchInterval: paced(useEvery(listEvery)) })
export const useGroups = () => useQuery({ ...groupsQuery, refetchInterval: paced(useEvery(listEvery)) })
export const useClients = () => useQuery({ ...clientsQuery, refetchInterval: useEvery(listEvery) })

const enc = encodeURIComponent

export function useTopic(name: string) {
  return useQuery({ queryKey: ['topic', name], queryFn: ({ signal }) => get<Topic>(`/topics/${enc(name)}`, {}, signal), refetchInterval: useEvery(2000) })
}

export function useGroup(name: string, on = true) {
  return useQuery({ queryKey: ['group', name], enabled: on, queryFn: ({ signal }) => get<Group>(`/groups/${enc(name)}`, {}, signal), refetchInterval: useEvery(2000) })
}

/** One connection with what it told and was given. */
export function useClient(c: Client) {
  return useQuery({ queryKey: ['client', c.clientId, c.addr], enabled: c.clientId !== '', queryFn: ({ signal }) => get<ClientDetail>(`/clients/${enc(c.clientId)}`, { addr: c.addr }, signal), refetchInterval: useEvery(listEvery) })
}

/** While the message is still on its way somewhere, its life is asked for again. */
export function useLife(id: string, on = true) {
  const every = useEvery(3000)
  return useQuery({
    queryKey: ['life', id],
    enabled: on && id !== '',
    queryFn: ({ signal }) => get<MessageLife>(`/messages/${enc(id)}`, {}, signal),
    refetchInterval: (q) => (q.state.data && settled(q.state.data) && Date.now() - acted.at > actTold ? false : every),
  })
}

const actTold = 30_000 // ms after an act in which the trail tells what came of it
const ended = ['consumed', 'filtered', 'skipped', 'expired', 'not-subscribed', 'cancelled', 'rolled-back', 'discarded', 'dead']
const settled = (m: MessageLife) => m.life.answer === 'found' && m.verdicts.length > 0 && m.verdicts.every((v) => ended.includes(v.state)) && m.stepsRecorded >= m.stepsExpected

export function useBody(id: string, position: number | undefined, on: boolean) {
  return useQuery({
    queryKey: ['body', id, position],
    enabled: on,
    staleTime: Infinity,
    queryFn: ({ signal }) => get<Body>(`/messages/${enc(id)}/body`, { position }, signal),
  })
}

/** What is due next, of all that waits. */
export function useScheduled(ask: { topic?: string; key?: string }, on = true) {
  return useQuery({ queryKey: ['scheduled', ask], enabled: on, placeholderData: keepPreviousData, refetchInterval: useEvery(listEvery), queryFn: ({ signal }) => get<Matches>('/scheduled', { ...ask, limit: 500 }, signal) })
}

export type RateAsk = { from: number; to: number; step: number; topic?: string; group?: string }

/** Rates of a range; the edges are rounded to the step, so that the answer changes only when a step is over. Times in ms. */
export function useRates(ask: RateAsk, on = true) {
  const from = Math.floor(ask.from / ask.step) * ask.step
  const to = Math.ceil(ask.to / ask.step) * ask.step
  const params = { from: from * 1000, to: to * 1000, step: ask.step * 1000, topic: ask.topic, group: ask.group }
  return useQuery({
    queryKey: ['rates', params],
    enabled: on,
    placeholderData: keepPreviousData,
    refetchInterval: useEvery(15000),
    queryFn: ({ signal }) => get<{ rates: Rate[] }>('/rates', params, signal),
  })
}

export function useHappenings(from: number, to: number, limit: number) {
  return useQuery({
    queryKey: ['happenings', from, to, limit],
    placeholderData: keepPreviousData,
    queryFn: ({ signal }) => get<{ happenings: Happening[] }>('/happenings', { from: from * 1000, to: to * 1000, limit }, signal),
  })
}
