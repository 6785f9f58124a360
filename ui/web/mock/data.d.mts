export const hostile: { key: string; tag: string; body: string }
export function makeMessages(now: number, n: number, span: number, seed?: number): { messages: { keys: string[] }[]; next: Record<string, number[]>; r: () => number }
export function makeHappenings(now: number): object[]
