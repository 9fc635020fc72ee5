/** Reads and writes PNG files of 8 bits without a palette and without interlacing. */

/** Pixels row by row, with 1 to 4 bytes for each: gray, gray and alpha, RGB, RGBA. */
export interface Image {
	readonly width: number;
	readonly height: number;
	readonly channels: number;
	readonly pixels: Uint8Array<ArrayBuffer>;
}

/** The file is none that can be read. */
export class FormatError extends Error {
	override readonly name = "FormatError";
}

const signature = new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10]);
/** The types of color, by the number of channels. */
const colors = [undefined, 0, 4, 2, 6];

export async function decode(file: Uint8Array<ArrayBuffer>): Promise<Image> {
	if (signature.some((byte, index) => file[index] !== byte)) {
		throw new FormatError("It is no PNG file");
	}
	const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
	const parts: Uint8Array<ArrayBuffer>[] = [];
	for (let at = 8, type = ""; type !== "IEND";) {
		const end = at + 8 < file.length ? at + 8 + view.getUint32(at) : Infinity;
		if (end > file.length) throw new FormatError("It is cut off");
		type = String.fromCharCode(...file.subarray(at + 4, at + 8));
		if (type === "IDAT") parts.push(file.subarray(at + 8, end));
		at = end + 4; // behind the checksum
	}
	const [width, height] = [view.getUint32(16), view.getUint32(20)];
	const channels = colors.indexOf(file[25]);
	if (file[24] !== 8 || channels < 1 || file[28] !== 0) {
		throw new FormatError("It has a palette, 16 bits or interlacing");
	}
	const data = await through(
		new DecompressionStream("deflate"),
		new Blob(parts),
	).catch((cause) => {
		throw new FormatError("Its data are damaged", { cause });
	});
	if (data.length !== height * (width * channels + 1)) {
		throw new FormatError("Its data are incomplete");
	}
	return {
		width,
		height,
		channels,
		pixels: unfilter(data, width * channels, height, channels),
	};
}

export async function encode(
	{ width, height, channels, pixels }: Image,
): Promise<Uint8Array<ArrayBuffer>> {
	const header = new Uint8Array(13);
	const view = new DataView(header.buffer);
	view.setUint32(0, width);
	view.setUint32(4, height);
	header.set([8, colors[channels]!], 8);
	const rows = new Uint8Array(height * (width * channels + 1)); // each begins with its filter: none
	for (let y = 0; y < height; y++) {
		rows.set(
			pixels.subarray(y * width * channels, (y + 1) * width * channels),
			y * (width * channels + 1) + 1,
		);
	}
	const data = await through(
		new CompressionStream("deflate"),
		new Blob([rows]),
	);
	const chunks = [
		chunk("IHDR", header),
		chunk("IDAT", data),
		chunk("IEND", new Uint8Array()),
	];
	return new Uint8Array(await new Blob([signature, ...chunks]).arrayBuffer());
}

/** Makes an image as small as `size` in both directions: each of its pixels is the mean of those that it stands for. */
export function shrink(
	{ width, height, channels, pixels }: Image,
	size: number,
): Image {
	const scale = Math.max(1, width / size, height / size);
	const small = {
		width: Math.max(1, Math.round(width / scale)),
		height: Math.max(1, Math.round(height / scale)),
	};
	const result = new Uint8Array(small.width * small.height * channels);
	for (let index = 0; index < result.length; index++) {
		const channel = index % channels;
		const x = Math.floor(index / channels) % small.width;
		const y = Math.floor(index / channels / small.width);
		const [left, right] = [x, x + 1].map((x) => Math.floor(x * width / small.width));
		const [top, bottom] = [y, y + 1].map((y) => Math.floor(y * height / small.height));
		let sum = 0;
		for (let row = top!; row < bottom!; row++) {
			for (let column = left!; column < right!; column++) {
				sum += pixels[(row * width + column) * channels + channel]!;
			}
		}
		result[index] = sum / ((right! - left!) * (bottom! - top!));
	}
	return { ...small, channels, pixels: result };
}

/** Each row begins with the number of a rule by which its bytes are predicted from those to the left and above. */
function unfilter(
	data: Uint8Array,
	stride: number,
	height: number,
	channels: number,
): Uint8Array<ArrayBuffer> {
	const pixels = new Uint8Array(stride * height);
	for (let y = 0; y < height; y++) {
		const filter = data[y * (stride + 1)]!;
		for (let x = 0; x < stride; x++) {
			const at = y * stride + x;
			const left = x < channels ? 0 : pixels[at - channels]!;
			const above = y === 0 ? 0 : pixels[at - stride]!;
			const corner = x < channels || y === 0 ? 0 : pixels[at - stride - channels]!;
			pixels[at] = data[at + y + 1]! + predict(filter, left, above, corner);
		}
	}
	return pixels;
}

function predict(
	filter: number,
	left: number,
	above: number,
	corner: number,
): number {
	if (filter === 4) {
		const [a, b, c] = [above - corner, left - corner, left + above - 2 * corner]
			.map(Math.abs) as [number, number, number];
		return a <= b && a <= c ? left : b <= c ? above : corner;
	}
	return [0, left, above, (left + above) >> 1][filter] ?? 0;
}

async function through(
	stream: CompressionStream | DecompressionStream,
	blob: Blob,
): Promise<Uint8Array<ArrayBuffer>> {
	return new Uint8Array(
		await new Response(blob.stream().pipeThrough(stream)).arrayBuffer(),
	);
}

function chunk(type: string, data: Uint8Array): Uint8Array<ArrayBuffer> {
	const bytes = new Uint8Array(data.length + 12);
	const view = new DataView(bytes.buffer);
	view.setUint32(0, data.length);
	bytes.set(new TextEncoder().encode(type), 4);
	bytes.set(data, 8);
	view.setUint32(data.length + 8, checksum(bytes.subarray(4, data.length + 8)));
	return bytes;
}

/** CRC-32. */
function checksum(bytes: Uint8Array): number {
	let sum = -1;
	for (const byte of bytes) {
		sum ^= byte;
		for (let bit = 0; bit < 8; bit++) {
			sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
		}
	}
	return ~sum >>> 0;
}
