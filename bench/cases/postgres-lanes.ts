// The same as in `postgres.ts`, in lanes, whose tasks run one after the other.
import "./postgres.ts";
