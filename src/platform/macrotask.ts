/**
 * @module
 */

/** Calls back in a new macrotask, as soon as there can be one: a timer would take up to 4 ms in a page. */
export function macrotask(callback: () => void): void {
	const { port1, port2 } = new MessageChannel();
	port1.onmessage = () => {
		port1.close();
		callback();
	};
	port2.postMessage(0);
}
