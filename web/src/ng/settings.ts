/** What Neuroglancer looks for when it is loaded. */

import { copy } from "../shared/dom";
import { url } from "../shared/server";

// The server keeps states, so that Neuroglancer's "Share" gives short addresses.
Object.assign(globalThis, { STATE_SERVERS: { Butterfly: { url: url("state"), default: true } } });

// Browsers give pages a clipboard over https and on localhost alone.
if (!navigator.clipboard) {
  Object.defineProperty(navigator, "clipboard", { value: { writeText: copy, readText: async () => "" } });
}
