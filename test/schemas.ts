// A Standard Schema validator that is a function, like those of ArkType.
import type { StandardSchema } from "../mod.ts";

export function type(check: (data: unknown) => string[]): StandardSchema<unknown> & (() => void) {
	return Object.assign(() => {}, {
		"~standard": {
			version: 1,
			vendor: "test",
			validate(value: unknown) {
				const issues = check(value).map((message) => ({ message }));
				return issues.length > 0 ? { issues } : { value };
			},
		} as const,
	});
}
