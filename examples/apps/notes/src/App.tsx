import { type FormEvent, useCallback, useEffect, useMemo, useState, useSyncExternalStore } from "react";
import { live, type TaskRecord } from "upkeep";
import { type Edit, type Outbox, type Photo, savePhoto, saveText } from "./outbox.ts";
import { session } from "./session.ts";

interface Note {
	readonly id: string;
	readonly text: string;
	readonly photos: readonly string[];
}

export function App({ outbox }: { outbox: Outbox }) {
	const user = useSyncExternalStore(session.subscribe, session.getUser);
	return user === null ? <Login /> : <Notes key={user} user={user} outbox={outbox} />;
}

function Login() {
	const [error, setError] = useState("");
	const submit = (event: FormEvent<HTMLFormElement>) => {
		event.preventDefault();
		session.login(String(new FormData(event.currentTarget).get("name"))).catch(({ message }) => setError(message));
	};
	return (
		<main>
			<form onSubmit={submit}>
				<h1>Notes</h1>
				<label>
					Your name <input name="name" required autoComplete="username" />
				</label>{" "}
				<button type="submit">Log in</button>
				{error && <p role="alert">{error}</p>}
			</form>
		</main>
	);
}

function Notes({ user, outbox }: { user: string; outbox: Outbox }) {
	const isOpen = useSyncExternalStore(session.subscribe, session.getSnapshot);
	const list = useMemo(() => live(outbox, { limit: 1_000 }), [outbox]);
	const known = useSyncExternalStore(list.subscribe, list.getSnapshot); // undefined until it is read
	const tasks = known ?? [];
	const saved = useSaved(tasks.map(({ key }) => key).join(), isOpen);
	const logout = async () => {
		await outbox.clear(); // before the next user can log in
		await caches.delete("notes");
		await session.logout();
	};
	return (
		<main>
			<header>
				<h1>Notes of {user}</h1>
				<button type="button" onClick={() => attempt(saveText(outbox, crypto.randomUUID(), ""))}>New note</button>
				<button type="button" onClick={() => attempt(logout())}>Log out</button>
			</header>
			{!isOpen && (
				<p role="alert">
					Your login has expired. Your changes are kept on this device.{" "}
					<button type="button" onClick={() => session.login(user).catch(() => {})}>Log in again</button>
				</p>
			)}
			<p role="status">
				{known && (known.length === 0 ? "All changes are saved." : `Changes on this device only: ${known.length}`)}
			</p>
			{tasks.filter(({ state }) => state === "dead").map(({ id, error }) => (
				<p role="alert" key={id}>
					{error?.message} <button type="button" onClick={() => outbox.retry(id)}>Try again</button>{" "}
					<button type="button" onClick={() => outbox.delete(id)}>Discard</button>
				</p>
			))}
			{merge(saved, tasks).map((note) => <Editor key={note.id} note={note} outbox={outbox} />)}
		</main>
	);
}

function Editor({ note, outbox }: { note: ShownNote; outbox: Outbox }) {
	const [typed, setTyped] = useState<string>(); // until it is seen in the outbox
	return (
		<article>
			<textarea
				aria-label="Note"
				value={typed ?? note.text}
				onChange={({ target: { value } }) => {
					setTyped(value);
					attempt(saveText(outbox, note.id, value));
				}}
				onBlur={() => setTyped(undefined)}
			/>
			<input
				type="file"
				accept="image/*"
				aria-label="Photo"
				onChange={({ target }) => {
					for (const photo of target.files ?? []) attempt(savePhoto(outbox, note.id, photo));
				}}
			/>
			<div>
				{note.photos.map((photo) => <img key={photo} src={`/api/notes/${note.id}/photos/${photo}`} alt="" />)}
				{note.waiting.map(({ id, blob }) => <Preview key={id} blob={blob} />)}
			</div>
		</article>
	);
}

function attempt(storing: Promise<void>): void {
	storing.catch((error) => alert(`This device cannot store it: ${error.message}`));
}

function Preview({ blob }: { blob: Blob }) {
	const [url, setUrl] = useState<string>();
	useEffect(() => {
		const url = URL.createObjectURL(blob);
		setUrl(url);
		return () => URL.revokeObjectURL(url);
	}, [blob]);
	return <img src={url} alt="on this device" />;
}

/** The notes that the server has, read again whenever a change was saved, and after a login. */
function useSaved(pending: string, isOpen: boolean): readonly Note[] {
	const [saved, setSaved] = useState<readonly Note[]>([]);
	const read = useCallback(async (signal: AbortSignal) => {
		const response = await session.fetch("/api/notes", { signal });
		if (response.ok) setSaved(await response.json());
	}, []);
	useEffect(() => {
		const controller = new AbortController();
		read(controller.signal).catch(() => {}); // without a network, what is shown stays
		return () => controller.abort();
	}, [read, pending, isOpen]);
	return saved;
}

interface ShownNote extends Note {
	readonly waiting: readonly { readonly id: string; readonly blob: Blob }[];
}

/** What the server has, with what it does not have yet. */
function merge(saved: readonly Note[], tasks: readonly TaskRecord[]): readonly ShownNote[] {
	const notes = new Map(saved.map((note): [string, ShownNote] => [note.id, { ...note, waiting: [] }]));
	for (const { id, kind, payload } of tasks) {
		const { note, text, photo } = payload as Edit & Photo;
		const shown = notes.get(note) ?? { id: note, text: "", photos: [], waiting: [] };
		const change = kind === "save" ? { text } : { waiting: [...shown.waiting, { id, blob: photo }] };
		notes.set(note, { ...shown, ...change });
	}
	return [...notes.values()];
}
