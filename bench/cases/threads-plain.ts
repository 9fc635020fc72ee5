// What the threads of the peers do: they take the exports of a module.
export function add(value: number): number {
	return value + 1;
}
