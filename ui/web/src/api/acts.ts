// What the console does, and the lists that go with it.
import { keepPreviousData, queryOptions, useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query'
import { useEvery } from '../app/live'
import { get, post, type Params } from './client'
import type { Actions, Cancelled, DeadLetters, ResentLetter, ResetOutcome, ResetPlace, ResetPlan, ResetWish, Running, ScheduledList, Transaction, TransactionList, Verified } from './types'

const enc = encodeURIComponent

/** Whether anything may be changed here, and why not. It changes with a restart only. */
export const actionsQuery = queryOptions({ queryKey: ['actions'], staleTime: 60_000, queryFn: ({ signal }) => get<Actions>('/actions', {}, signal) })
export const useActions = () => useQuery(actionsQuery)

/** After an act nothing that is shown may be old. */
export function useFresh() {
  const client = useQueryClient()
  return () => void client.invalidateQueries({ predicate: (q) => q.queryKey[0] !== 'body' })
}

export type LetterFilter = { topic?: string; tag?: string; key?: string; state?: string; from?: number; to?: number }
export type LetterRef = { broker: string; offset: number }

export const lettersPath = (group: string, rest = '') => `/dead-letters/${enc(group)}${rest}`
const lettersAtATime = 200

export function letters(group: string, filter: LetterFilter, limit: number, before: string | undefined, signal?: AbortSignal) {
  return get<DeadLetters>(lettersPath(group), { ...(filter as Params), limit, before }, signal)
}

/** The first part is asked for again now and then; with more parts on the page that is left to the person. */
export function useLetters(group: string, filter: LetterFilter) {
  const every = useEvery(5000)
  return useInfiniteQuery({
    queryKey: ['letters', group, filter],
    initialPageParam: undefined as string | undefined,
    placeholderData: keepPreviousData,
    queryFn: ({ signal, pageParam }) => letters(group, filter, lettersAtATime, pageParam, signal),
    getNextPageParam: (last) => last.next || undefined,
    refetchInterval: (q) => ((q.state.data?.pages.length ?? 1) > 1 ? false : every),
  })
}

export const resend = (group: string, refs: LetterRef[], again: boolean, signal?: AbortSignal) =>
  post<{ outcomes: ResentLetter[] }>(lettersPath(group, '/resend'), { letters: refs.map(({ broker, offset }) => ({ broker, offset })), again }, signal).then((r) => r.outcomes)

export const offsetsPath = (group: string, act: 'plan' | 'reset' | 'clone') => `/groups/${enc(group)}/offsets/${act}`
export const planReset = (group: string, wish: ResetWish) => post<ResetPlan>(offsetsPath(group, 'plan'), wish)
export const placesOf = (queues: ResetPlace[]) => queues.map((q) => ({ brokerGroup: q.brokerGroup, topic: q.topic, queueId: q.queueId, offset: q.to }))
export const resetOffsets = (group: string, queues: ResetPlace[]) => post<{ outcomes: ResetOutcome[] }>(offsetsPath(group, 'reset'), { queues: placesOf(queues) }).then((r) => r.outcomes)
export const cloneOffsets = (group: string, body: { from: string; topic?: string; force?: boolean }) => post<{ brokerGroups: string[] }>(offsetsPath(group, 'clone'), body)

export function useTransactions(ask: { producerGroup?: string; topic?: string; key?: string }) {
  return useQuery({ queryKey: ['transactions', ask], placeholderData: keepPreviousData, refetchInterval: useEvery(2000), queryFn: ({ signal }) => get<TransactionList>('/transactions', { ...ask, limit: 500 }, signal) })
}

export const decision = (h: Transaction, word: 'commit' | 'rollback', reason: string) => ({ broker: h.broker, halfOffset: h.halfOffset, position: h.position, decision: word, reason })
export const decide = (h: Transaction, word: 'commit' | 'rollback', reason: string) => post<{ brokerGroups: string[] }>('/transactions/decide', decision(h, word, reason))

export function useScheduledNext(on: boolean) {
  return useQuery({ queryKey: ['scheduled-next'], enabled: on, placeholderData: keepPreviousData, refetchInterval: useEvery(5000), queryFn: ({ signal }) => get<ScheduledList>('/scheduled/next', { limit: 500 }, signal) })
}
export const cancelScheduled = (topic: string, recallHandle: string) => post<Cancelled>('/scheduled/cancel', { topic, recallHandle })

export type VerifyAsk = { consumerGroup: string; clientId: string; broker: string; topic: string }
export const verifyPath = (id: string) => `/messages/${enc(id)}/verify`
export const verify = (id: string, ask: VerifyAsk) => post<Verified>(verifyPath(id), ask)

export const running = (consumerGroup: string, clientId: string, jstackEnable: boolean) => post<Running>('/clients/running', { consumerGroup, clientId, jstackEnable })
