// What the cases use of the peers, so that they can be type-checked where the peers are not installed.

declare module "cockatiel" {
	export const handleAll: unique symbol;
	export function retry(policy: typeof handleAll, options: object): { execute<T>(task: () => Promise<T>): Promise<T> };
}

declare module "nanostores" {
	export interface Atom<T> {
		listen(listener: (value: T) => void): () => void;
	}
	export function atom<T>(value: T): Atom<T>;
	export function onMount<T>(store: Atom<T>, initialize: () => void): () => void;
}

declare module "p-retry" {
	export default function pRetry<T>(task: () => Promise<T>): Promise<T>;
}

declare module "piscina" {
	export class Piscina {
		constructor(options: object);
		run(task: number, options: { name: string }): Promise<number>;
	}
}

declare module "rxjs" {
	export class Observable<T> {
		constructor(subscribe: () => void);
		pipe(operator: (source: Observable<T>) => Observable<T>): Observable<T>;
		subscribe(next: (value: T) => void): { unsubscribe(): void };
	}
	export function share<T>(): (source: Observable<T>) => Observable<T>;
}

declare module "p-limit" {
	export default function pLimit(concurrency: number): <T>(task: () => Promise<T>) => Promise<T>;
}

declare module "p-queue" {
	export default class PQueue {
		constructor(options: { concurrency: number });
		add<T>(task: () => Promise<T>): Promise<T>;
	}
}

declare module "tinypool" {
	export class Tinypool {
		constructor(options: object);
		run(task: number, options: { name: string }): Promise<number>;
	}
}
