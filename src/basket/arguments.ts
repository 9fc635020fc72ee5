/**
 * The types of the arguments of a basket's methods.
 *
 * @module
 */

import type { AddOptions, CollectOptions } from "./adding.ts";
import type { PayloadOf } from "./options.ts";

/** A task for {@link Basket.addMany}. */
export type NewBasketTask<Tasks> = {
	[K in keyof Tasks & string]:
		& { readonly kind: K }
		& (
			| (
				& Omit<AddOptions, "tx">
				& (undefined extends PayloadOf<Tasks[K]> ? { payload?: PayloadOf<Tasks[K]> } : { payload: PayloadOf<Tasks[K]> })
			)
			| (PayloadOf<Tasks[K]> extends infer P
				? P extends readonly (infer Item)[] ? Omit<CollectOptions, "tx"> & { payload: Item } : never
				: never)
		);
}[keyof Tasks & string];

/** Options for a change that can be a part of a transaction of the caller. */
export type TxOptions<Tx = never> = Pick<AddOptions<Tx>, "tx">;

/**
 * The arguments of {@link Basket.add} after the kind. The payload is optional if it may be `undefined`. If it is an
 * array, `ifPresent: "collect"` adds one item of it.
 */
export type AddArguments<P, Tx> =
	| (undefined extends P ? [payload?: P, options?: AddOptions<Tx>] : [payload: P, options?: AddOptions<Tx>])
	| (P extends readonly (infer Item)[] ? [item: Item, options: CollectOptions<Tx>] : never);

/** The result of a change: whether the task with an id was changed, or how many tasks a filter selected and changed. */
export type Changed<W> = W extends string ? boolean : number;
