export function makeLife(m: object, i: number, now: number, state: object, happenings: object[]): unknown
