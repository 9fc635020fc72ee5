// The functions for the threads of the peers, which use the exports of a module.
export function add(value: number): number {
	return value + 1;
}
