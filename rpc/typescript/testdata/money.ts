/** An amount, sent as its cents. */
export class Money {
  constructor(readonly cents: number) {}
}

export const money = {
  type: 21,
  condition: (value: unknown) => value instanceof Money,
  serialize: (value: Money) => value.cents,
  deserialize: (cents: number) => new Money(cents),
}
