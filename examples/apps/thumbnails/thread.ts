/** The module of the threads. */

import { serve, type ThreadContext } from "upkeep/threads";
import { decode, encode, shrink } from "./png.ts";

export const functions = {
	/** Gets and gives the bytes of a PNG file. They are moved, not copied. */
	async thumbnail(
		this: ThreadContext,
		file: Uint8Array<ArrayBuffer>,
		size: number,
	): Promise<Uint8Array<ArrayBuffer>> {
		const small = await encode(shrink(await decode(file), size));
		return this.transfer(small, [small.buffer]);
	},
};

serve(functions);
